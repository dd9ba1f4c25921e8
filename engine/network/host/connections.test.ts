import { describe, expect, it } from 'vitest'
import { ipv4Bytes, parseIpv4 } from '../address.ts'
import { answererKey } from '../firewall/stale.ts'
import { be16, encodeMessage, messageType } from '../netlink/wire.ts'
import { Connections } from './connections.ts'

const deleted = 0x102
const [old, young] = ['10.210.0.2', '10.210.0.3']

/** A tracked connection to port 80 as the kernel lists it. */
function tracked(answerer: string): Uint8Array {
  const tuple = (source: string) =>
    [
      [1, [[1, ipv4Bytes(parseIpv4(source))]]],
      [2, [[2, be16(80)]]],
    ] as const
  return encodeMessage(0x100, 0, Uint8Array.of(2, 0, 0, 0), [
    [1, tuple('10.210.0.9')],
    [2, tuple(answerer)],
    [12, Uint8Array.of(0, 0, 0, 1)],
  ])
}

describe('connections', () => {
  it('to an endpoint that came meanwhile are kept, and settled waits for the rest', async () => {
    const listed: ((messages: Uint8Array[]) => void)[] = []
    let deletions = 0
    const connections = new Connections(
      {
        netlink: async (_, message) => {
          if (messageType(message) !== deleted) return new Promise((resolve) => listed.push(resolve))
          deletions++
          return []
        },
        subscribe: async () => () => {},
        sysctl: async () => {},
      },
      () => {},
    )
    const may = (address: string) => [
      { address: undefined, port: 53, answerers: new Set([answererKey(parseIpv4(address), 80)]) },
    ]
    void connections.forgetChanged(may(old))
    void connections.forgetChanged(may(young))
    let isSettled = false
    const settled = connections.settled().then(() => {
      isSettled = true
    })
    listed.shift()?.([tracked(young)])
    await new Promise((resolve) => setImmediate(resolve))
    expect(deletions).toBe(0)
    expect(isSettled).toBe(false)
    listed.shift()?.([tracked(young), tracked(old)])
    await settled
    expect(deletions).toBe(1)
  })
})
