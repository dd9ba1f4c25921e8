import type { SetShape } from '../netlink/nftables.ts'

/**
 * The sets and maps of berth's table. All that changes while it runs is an element of one of them (or one more chain
 * to pick from more endpoints), so that a change costs 0.1 ms whatever the table's size.
 */
export const sets = {
  /** berth's bridges */
  bridges: { name: 'bridges', key: ['ifname'] },
  /** those of internal networks */
  internal: { name: 'internal', key: ['ifname'] },
  /** each bridge with itself: neighbours */
  neighbours: { name: 'neighbours', key: ['ifname', 'ifname'] },
  /** addresses that may leave the host, masqueraded */
  outgoing: { name: 'outgoing', key: ['ipv4_addr'] },
  /** each address with itself: a pod that reached itself through a service */
  self: { name: 'self', key: ['ipv4_addr', 'ipv4_addr'] },
  /** where a service or published port is reached → the chain that picks one of its endpoints */
  services: { name: 'services', key: ['ipv4_addr', 'inet_proto', 'inet_service'], data: 'verdict' },
  /** … and the number that was drawn → endpoint */
  endpoints: {
    name: 'endpoints',
    key: ['ipv4_addr', 'inet_proto', 'inet_service', 'mark'],
    data: ['ipv4_addr', 'inet_service'],
  },
  /** the same for ports on every address of the host */
  hostServices: { name: 'host-services', key: ['inet_proto', 'inet_service'], data: 'verdict' },
  hostEndpoints: {
    name: 'host-endpoints',
    key: ['inet_proto', 'inet_service', 'mark'],
    data: ['ipv4_addr', 'inet_service'],
  },
} as const satisfies Record<string, SetShape>

export type SetName = keyof typeof sets

export const setNames = Object.keys(sets) as SetName[]
