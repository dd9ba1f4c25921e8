import { describe, expect, it } from 'vitest'
import * as x from './expressions.ts'
import * as nft from './nftables.ts'
import { concat, u32 } from './wire.ts'

/*
 * Recorded from nft 1.0.6 (`nft --debug=mnl add …`): the message after its netlink header. Registers are numbered as
 * nft numbers them there.
 */
const table: nft.TableRef = { family: 'ip', table: 't' }
const body = (message: Uint8Array | undefined) =>
  Buffer.from(message ?? [])
    .subarray(16)
    .toString('hex')
const rule = (expressions: x.Expression[], comment?: string) =>
  body(nft.addRule(table, 'c', { expressions, ...(comment === undefined ? {} : { comment }) }))
const start = '0200000006000100740000000600020063000000'

describe('nftables', () => {
  it('encodes rules as nft does: ip daddr 10.208.0.0/12 goto p', () => {
    const address = (...bytes: number[]) => Uint8Array.from(bytes)
    expect(
      rule([
        x.loadDestination(1),
        x.mask(1, address(255, 240, 0, 0)),
        x.compare(1, address(10, 208, 0, 0)),
        x.decide({ verdict: 'goto', chain: 'p' }),
      ]),
    ).toBe(
      `${start}e0000480340001800c0001007061796c6f616400240002800800010000000001080002000000000108000300000000100800040000000004440001800c0001006269747769736500340002800800010000000001080002000000000108000300000000040c00048008000100fff000000c00058008000100000000002c00018008000100636d700020000280080001000000000108000200000000000c000380080001000ad00000380001800e000100696d6d656469617465000000240002800800010000000000180002801400028008000100fffffffc0600020070000000`,
    )
  })

  it('encodes rules as nft does: ct state established,related accept', () => {
    expect(
      rule([
        x.tracked('state', 1),
        x.mask(1, u32(6)),
        x.compare(1, u32(0), true),
        x.decide({ verdict: 'accept' }),
      ]),
    ).toBe(
      `${start}c40004802000018007000100637400001400028008000200000000000800010000000001440001800c0001006269747769736500340002800800010000000001080002000000000108000300000000040c00048008000100060000000c00058008000100000000002c00018008000100636d700020000280080001000000000108000200000000010c0003800800010000000000300001800e000100696d6d6564696174650000001c0002800800010000000000100002800c0002800800010000000001`,
    )
  })

  it('encodes rules as nft does: meta l4proto tcp reject with tcp reset', () => {
    const tcp = [x.meta('l4proto', 1), x.compare(1, Uint8Array.of(6)), x.reject('tcp-reset')]
    expect(rule(tcp)).toBe(
      `${start}7800048024000180090001006d6574610000000014000280080002000000001008000100000000012c00018008000100636d700020000280080001000000000108000200000000000c0003800500010006000000240001800b00010072656a65637400001400028008000100000000010500020000000000`,
    )
  })

  it('encodes rules as nft does: fib daddr type local drop', () => {
    const local = [x.destinationKind(1), x.compare(1, u32(2)), x.decide({ verdict: 'drop' })]
    expect(rule(local)).toBe(
      `${start}880004802800018008000100666962001c0002800800030000000002080002000000000308000100000000012c00018008000100636d700020000280080001000000000108000200000000000c0003800800010002000000300001800e000100696d6d6564696174650000001c0002800800010000000000100002800c0002800800010000000000`,
    )
  })

  it('encodes rules as nft does: oifname != "lo" masquerade comment "berth"', () => {
    const name = concat(Buffer.from('lo'), new Uint8Array(14))
    expect(rule([x.meta('oifname', 1), x.compare(1, name, true), x.masquerade], 'berth')).toBe(
      `${start}7400048024000180090001006d6574610000000014000280080002000000000708000100000000013800018008000100636d70002c0002800800010000000001080002000000000118000380140001006c6f000000000000000000000000000014000180090001006d61737100000000040002800c0007000006626572746800`,
    )
  })

  it('encodes a base chain, a set and a map element as nft does', () => {
    const chain = body(nft.addChain(table, 'fw', { type: 'filter', hook: 'forward', priority: 0 }))
    expect(chain).toContain(
      '02000000060001007400000007000300667700000b00070066696c74657200001400048008000100000000020800020000000000',
    )
    expect(body(nft.addSet(table, { name: 'x', key: ['ifname'] }, 10))).toContain(
      '060002007800000008000300000000000800040000000029080005000000001008000a000000000a0a000d00000401000000',
    )
    const key = Uint8Array.of(10, 211, 0, 1, 6, 0, 0, 0, 0, 80, 0, 0)
    const [element] = nft.addElements(table, 'm', [{ key, data: { verdict: 'goto', chain: 'p' } }])
    expect(body(element)).toBe(
      '020000000600010074000000060002006d000000340003803000018014000180100001000ad300010600000000500000180002801400028008000100fffffffc0600020070000000',
    )
  })

  it('reads back what it writes', () => {
    const key = Uint8Array.of(10, 211, 0, 1)
    const elements = [
      { key, data: { verdict: 'goto' as const, chain: 'p' } },
      { key, data: Uint8Array.of(1, 2, 3, 4) },
      { key },
    ]
    expect(nft.addElements(table, 'm', elements).flatMap(nft.decodeElements)).toEqual(elements)
  })

  it('splits many elements into messages that netlink can hold', () => {
    const elements = Array.from({ length: 1201 }, (_, n) => ({ key: u32(n), data: u32(n) }))
    const messages = nft.addElements(table, 'm', elements)
    expect(messages).toHaveLength(3)
    expect(messages.flatMap(nft.decodeElements)).toHaveLength(1201)
  })

  it('recognises rules that stop packets', () => {
    const stops = (expressions: x.Expression[]) =>
      nft.decodeRule(concat(nft.addRule(table, 'c', { expressions }), handle))?.stops
    const handle = Uint8Array.of(12, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 7)
    expect(stops([x.reject('icmp')])).toBe(true)
    expect(stops([x.decide({ verdict: 'drop' })])).toBe(true)
    expect(stops([['target', [[1, Buffer.from('REJECT\0')]]]])).toBe(true)
    expect(stops([x.decide({ verdict: 'accept' })])).toBe(false)
    expect(stops([x.decide({ verdict: 'jump', chain: 'DOCKER' })])).toBe(false)
  })
})
