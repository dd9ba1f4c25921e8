import { describe, expect, it } from 'vitest'
import { type Elements, elementsOf, type Target } from './elements.ts'
import { changedUdpPorts } from './stale.ts'

const at = (...targets: Target[]): Elements => elementsOf({ bridges: [], addresses: [], targets })
const endpoints = (...last: number[]) => last.map((n) => ({ address: `10.210.0.${n}`, port: 53 }))
const dns = { address: '10.211.0.10', protocol: 'udp' as const, port: 53 }

describe('stale connections', () => {
  it('names UDP ports whose answerers changed, and who may answer now', () => {
    const changed = changedUdpPorts(
      at({ ...dns, endpoints: endpoints(2, 3) }),
      at({ ...dns, endpoints: endpoints(3) }),
    )
    expect(changed).toEqual([{ address: 0x0ad3000a, port: 53, answerers: new Set([`${0x0ad20003}:53`]) }])
  })

  it('names each once, also one that came, went, or is of the host', () => {
    const service = { ...dns, endpoints: endpoints(2) }
    const host = { ...service, address: undefined }
    expect(changedUdpPorts(at(), at(service, host))).toHaveLength(2)
    expect(changedUdpPorts(at(service, host), at())).toEqual([
      { address: 0x0ad3000a, port: 53, answerers: new Set() },
      { address: undefined, port: 53, answerers: new Set() },
    ])
  })

  it('leaves TCP, and UDP where the same answer in another order', () => {
    const tcp = { ...dns, protocol: 'tcp' as const }
    expect(
      changedUdpPorts(at({ ...tcp, endpoints: endpoints(2) }), at({ ...tcp, endpoints: endpoints(3) })),
    ).toEqual([])
    const [before, after] = [endpoints(2, 3), endpoints(3, 2)].map((list) => at({ ...dns, endpoints: list }))
    expect(before && after ? changedUdpPorts(before, after) : undefined).toEqual([])
  })
})
