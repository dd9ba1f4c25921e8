import { type Answer, decode, encode } from 'dns-packet'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readQuery, writeError, writeReply } from './dns-message.ts'

const query = (udpPayloadSize?: number) =>
  encode({
    id: 7,
    type: 'query',
    flags: 0x100,
    questions: [{ type: 'A', name: 'Web.Shop' }],
    additionals: udpPayloadSize
      ? [
          {
            type: 'OPT',
            name: '.',
            udpPayloadSize,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: 0,
            flag_do: false,
            options: [],
          },
        ]
      : [],
  })
const answers = (count: number): Answer[] =>
  Array.from({ length: count }, (_, n) => ({ type: 'A', name: 'Web.Shop', ttl: 2, data: `10.210.0.${n}` }))

function reply(bytes: Uint8Array, count: number, transport: 'udp' | 'tcp' = 'udp') {
  const read = readQuery(bytes)
  if (!read || 'rcode' in read) throw new Error('not a query')
  const written = writeReply(read, { rcode: 'ok', authoritative: true, answers: answers(count) }, transport)
  return { length: written.length, ...decode(Buffer.from(written)) }
}

describe('dns messages', () => {
  it('answers with the id and the question as asked, in its case', () => {
    const answer = reply(query(), 2)
    expect(answer).toMatchObject({
      id: 7,
      flag_qr: true,
      flag_aa: true,
      flag_rd: true,
      flag_ra: true,
      rcode: 'NOERROR',
    })
    expect(answer.questions).toEqual([{ type: 'A', name: 'Web.Shop', class: 'IN' }])
    expect(answer.answers).toHaveLength(2)
    expect(answer.additionals).toEqual([])
  })

  it('keeps to what fits: 512 bytes, with EDNS0 at most 1232, over TCP all', () => {
    const short = reply(query(), 40)
    expect(short).toMatchObject({ flag_tc: true })
    expect(short.answers).toHaveLength(20)
    expect(short.length).toBeLessThanOrEqual(512)
    const edns = reply(query(4096), 40)
    expect(edns).toMatchObject({ flag_tc: false })
    expect(edns.answers).toHaveLength(40)
    expect(edns.additionals?.[0]?.type).toBe('OPT')
    expect(reply(query(4096), 200)).toMatchObject({ flag_tc: true })
    expect(reply(query(4096), 200).length).toBeLessThanOrEqual(1232)
    expect(reply(query(100), 19)).toMatchObject({ flag_tc: false })
    expect(reply(query(), 200, 'tcp').answers).toHaveLength(200)
  })

  it('refuses what it cannot read, and does not answer answers', () => {
    expect(readQuery(new Uint8Array(11))).toBeUndefined()
    expect(readQuery(encode({ type: 'response', id: 1 }))).toBeUndefined()
    expect(readQuery(encode({ type: 'query', id: 9 }))).toEqual({ id: 9, rcode: 'malformed' })
    expect(readQuery(encode({ type: 'query', id: 9, flags: 0x2000 }))).toEqual({
      id: 9,
      rcode: 'notImplemented',
    })
    expect(decode(Buffer.from(writeError(9, 'malformed')))).toMatchObject({ id: 9, rcode: 'FORMERR' })
  })

  it('does not throw, whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const read = readQuery(bytes)
        if (read && !('rcode' in read)) writeReply(read, { rcode: 'missing' }, 'udp')
      }),
      { numRuns: 2000 },
    )
  })
})
