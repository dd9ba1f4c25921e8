import { describe, expect, it } from 'vitest'
import * as links from './links.ts'
import { messageType, splitMessages } from './wire.ts'

describe('links', () => {
  it('encodes a veth pair as ip does', () => {
    const message = links.createVeth({
      name: 'bv0123456789ab',
      mtu: 1500,
      alias: 'berth',
      master: 7,
      peer: { name: 'eth0', mac: '0a:be:0a:d2:00:02', netnsFd: 101 },
    })
    const hex = Buffer.from(message).toString('hex')
    /* From `ip link add … type veth peer name eth0 address 0a:be:0a:d2:00:02`: the kind, and the peer's ifinfomsg. */
    expect(hex).toContain(Buffer.from('veth\0').toString('hex'))
    expect(hex).toContain(`0100${'00'.repeat(16)}0900030065746830000000000a0001000abe0ad200020000`)
    expect(hex).toContain('08001c0065000000')
    expect(messageType(message)).toBe(16)
  })

  it('reads a link of a dump', () => {
    const message = links.createBridge({
      name: 'berth0',
      mac: '0a:be:0a:d2:00:01',
      mtu: 1500,
      alias: 'berth network',
    })
    expect(links.decodeLink(message)).toMatchObject({
      name: 'berth0',
      kind: 'bridge',
      mac: '0a:be:0a:d2:00:01',
      mtu: 1500,
      alias: 'berth network',
      master: undefined,
    })
  })

  it('encodes addresses and routes', () => {
    expect(Buffer.from(links.addAddress(5, 0x0ad20001, 17)).toString('hex')).toBe(
      '300000001400050500000000000000000211000005000000080002000ad20001080001000ad20001080004000ad27fff',
    )
    const route = links.addRoute({ to: undefined, via: 0x0ad20001, device: 2 }, { keep: true })
    expect(Buffer.from(route).toString('hex')).toBe(
      '2c00000018000506000000000000000002000000fe040001000000000800040002000000080005000ad20001',
    )
    const back = links.decodeRoute(links.addRoute({ to: { base: 0x0ad30000, prefixLength: 16 }, device: 1 }))
    expect(back).toEqual({ to: { base: 0x0ad30000, prefixLength: 16 }, device: 1 })
  })

  it('does not read past a message that is cut off', () => {
    const message = links.dumpLinks()
    expect(splitMessages(message.subarray(0, 20))).toEqual([])
    expect(links.decodeLink(message.subarray(0, 18))).toMatchObject({ index: 0, name: '' })
  })
})
