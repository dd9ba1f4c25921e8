import { ipv4Bytes, parseIpv4 } from '../address.ts'
import type { Element } from '../netlink/nftables.ts'
import { be16, concat, text, u32 } from '../netlink/wire.ts'
import type { Protocol } from '../types.ts'
import { type SetName, setNames } from './sets.ts'
import { pickChain } from './skeleton.ts'

/** What the table shall do, in nouns. */
export interface Policy {
  readonly bridges: readonly { readonly name: string; readonly internal: boolean }[]
  readonly addresses: readonly { readonly address: string; readonly internal: boolean }[]
  readonly targets: readonly Target[]
}

/** A port that is answered by endpoints: of one address (a service's, one of the host's) or of all of the host's. */
export interface Target {
  readonly address: string | undefined
  readonly protocol: Protocol
  readonly port: number
  readonly endpoints: readonly { readonly address: string; readonly port: number }[]
  readonly sticky?: boolean
}

/** The elements of every set, each under its key in hex. */
export type Elements = Readonly<Record<SetName, ReadonlyMap<string, Element>>>

const protocols: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17, sctp: 132 }

/** Every part of a concatenation fills whole registers of 4 bytes. */
const protocolKey = (protocol: Protocol) => Uint8Array.of(protocols[protocol], 0, 0, 0)
const portKey = (port: number) => concat(be16(port), new Uint8Array(2))
const address = (dotted: string) => ipv4Bytes(parseIpv4(dotted))
const interfaceKey = (name: string) => Uint8Array.from({ length: 16 }, (_, i) => text(name)[i] ?? 0)

export const keyOf = (key: Uint8Array): string => Buffer.from(key).toString('hex')

export function emptyElements(): Record<SetName, Map<string, Element>> {
  return Object.fromEntries(setNames.map((name) => [name, new Map()])) as Record<
    SetName,
    Map<string, Element>
  >
}

/** Policy → elements. Of two targets on the same port the first wins. */
export function elementsOf(policy: Policy): Elements {
  const elements = emptyElements()
  const put = (set: SetName, key: Uint8Array, data?: Element['data']) => {
    elements[set].set(keyOf(key), data === undefined ? { key } : { key, data })
  }
  for (const { name, internal } of policy.bridges) {
    const key = interfaceKey(name)
    put('bridges', key)
    put('neighbours', concat(key, key))
    if (internal) put('internal', key)
  }
  for (const lease of policy.addresses) {
    const key = address(lease.address)
    put('self', concat(key, key))
    if (!lease.internal) put('outgoing', key)
  }
  for (const target of policy.targets) {
    const count = target.endpoints.length
    const host = target.address === undefined
    const [heads, picks] = host
      ? (['hostServices', 'hostEndpoints'] as const)
      : (['services', 'endpoints'] as const)
    const key = concat(
      target.address === undefined ? new Uint8Array() : address(target.address),
      protocolKey(target.protocol),
      portKey(target.port),
    )
    /* None: not in the map, so that the address of a service is refused and the host's own port is the host's. */
    if (count === 0 || elements[heads].has(keyOf(key))) continue
    const chain = pickChain({ host, sticky: target.sticky ?? false, count })
    put(heads, key, { verdict: 'goto', chain })
    target.endpoints.forEach((endpoint, index) => {
      put(picks, concat(key, u32(index)), concat(address(endpoint.address), portKey(endpoint.port)))
    })
  }
  return elements
}

/** The chains that these elements go to. */
export function picksOf(elements: Elements): ReadonlySet<string> {
  const names = new Set<string>()
  for (const set of ['services', 'hostServices'] as const) {
    for (const { data } of elements[set].values()) if (data && 'chain' in data) names.add(data.chain)
  }
  return names
}
