import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LineSplitter, parseLogLine, wantsLine } from './log.ts'
import { parseFlat, parseNetDev, parsePsStat } from './proc.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (content: Uint8Array | undefined) => content && new TextDecoder().decode(content)
const time = '2026-01-02T03:04:05.000000001Z'

describe('log lines', () => {
  it('are parsed in CRI’s form', () => {
    const whole = parseLogLine(bytes(`${time} stdout F hello  there\n`))
    expect(whole).toMatchObject({ stream: 'stdout', time })
    expect(text(whole?.content)).toBe('hello  there\n')
    expect(text(parseLogLine(bytes(`${time} stderr P piece\n`))?.content)).toBe('piece')
    expect(text(parseLogLine(bytes(`${time} stdout F \n`))?.content)).toBe('\n')
    for (const bad of ['', 'x', `${time} stdout X a\n`, `${time} other F a\n`])
      expect(parseLogLine(bytes(bad))).toBeUndefined()
  })

  it('are cut from chunks of any size', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 20 })), (chunks) => {
        const splitter = new LineSplitter()
        const lines = chunks.flatMap((chunk) => splitter.push(chunk))
        const all = Buffer.concat(chunks)
        expect(Buffer.concat(lines)).toEqual(all.subarray(0, all.lastIndexOf(10) + 1))
        for (const line of lines) expect(line.indexOf(10)).toBe(line.length - 1)
      }),
    )
  })

  it('are chosen by time and stream', () => {
    const line = { stream: 'stdout', time, content: new Uint8Array() } as const
    const at = Date.parse(time)
    const both = { stdout: true, stderr: true }
    expect(wantsLine(line, both)).toBe('yes')
    expect(wantsLine(line, { ...both, stdout: false })).toBe('no')
    expect(wantsLine(line, { ...both, since: at + 1 })).toBe('no')
    expect(wantsLine(line, { ...both, until: at - 1 })).toBe('after')
  })
})

describe('proc', () => {
  it('reads statistics', () => {
    expect(parseFlat('a 1\nb.c 22\nnot this one 3\n')).toEqual({ a: 1, 'b.c': 22 })
    const dev =
      'Inter-| Receive\n face |bytes\n    lo: 1 2 3 4 5 6 7 8 9 10\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n'
    expect(parseNetDev(dev)).toEqual({
      eth0: {
        rxBytes: 1,
        rxPackets: 2,
        rxErrors: 3,
        rxDropped: 4,
        txBytes: 9,
        txPackets: 10,
        txErrors: 11,
        txDropped: 12,
      },
    })
  })

  it('reads a process whose name has parentheses', () => {
    const stat = `42 (a) b) S 7 42 42 34817 42 4194304 0 0 0 0 150 50 0 0 20 0 1 0 1000 0 0`
    const row = parsePsStat({
      pid: 42,
      stat,
      status: 'Uid:\t5\t5\n',
      command: 'a\0-x\0',
      uptimeSeconds: 30,
      now: 0,
    })
    expect(row).toEqual(['5', '42', '7', '10', '23:59', 'pts/1', '00:00:02', 'a -x'])
  })
})
