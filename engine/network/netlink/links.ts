import { ipv4Bytes, type Subnet } from '../address.ts'
import {
  type Attribute,
  concat,
  decodeAttributes,
  decodeMessage,
  encodeMessage,
  flag,
  readText,
  readU32,
  text,
  u8,
  u32,
} from './wire.ts'

/** rtnetlink: links, addresses, routes. linux/if_link.h, linux/if_addr.h, linux/rtnetlink.h */
const type = {
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  newAddress: 20,
  newRoute: 24,
  deleteRoute: 25,
  getRoute: 26,
} as const

const ifla = {
  address: 1,
  name: 3,
  mtu: 4,
  link: 5,
  master: 10,
  linkInfo: 18,
  alias: 20,
  afSpec: 26,
  netnsFd: 28,
} as const
const info = { kind: 1, data: 2, slaveKind: 4, slaveData: 5 } as const
const bridge = { forwardDelay: 1, multicastSnooping: 23, nfCallIptables: 36 } as const
const bridgePort = { hairpin: 4 } as const
const vethPeer = 1
const inetConf = 1
const confRouteLocalnet = 26
const inet = 2
const up = 1

/** NETLINK_ROUTE, the protocol of these messages. */
export const netlinkRoute = 0

export interface Link {
  readonly index: number
  readonly name: string
  readonly up: boolean
  readonly mac: string
  readonly mtu: number
  readonly kind: string | undefined
  readonly master: number | undefined
  /** Index of the other end, of a veth. */
  readonly peer: number | undefined
  readonly alias: string | undefined
}

/** struct ifinfomsg: u8 family | u8 | u16 type | i32 index | u32 flags | u32 which flags change */
function linkHeader(header: { index?: number; flags?: number } = {}): Uint8Array {
  const flags = header.flags ?? 0
  return concat(u32(0), u32(header.index ?? 0), u32(flags), u32(flags))
}

/**
 * A bridge whose traffic passes the firewall whatever `net.bridge.bridge-nf-call-iptables` says: replies of a
 * neighbour to a translated connection must be translated back. A fixed MAC, else it changes with the ports.
 */
export function createBridge(options: { name: string; mac: string; mtu: number; alias: string }): Uint8Array {
  return encodeMessage(type.newLink, flag.request | flag.ack | flag.create | flag.exclusive, linkHeader(), [
    [ifla.name, text(options.name)],
    [ifla.address, macBytes(options.mac)],
    [ifla.mtu, u32(options.mtu)],
    [ifla.alias, new TextEncoder().encode(options.alias)],
    [
      ifla.linkInfo,
      [
        [info.kind, text('bridge')],
        [
          info.data,
          [
            [bridge.forwardDelay, u32(0)],
            [bridge.multicastSnooping, u8(0)],
            [bridge.nfCallIptables, u8(1)],
          ],
        ],
      ],
    ],
  ])
}

/** Sets a link up; with `routeLocalnet`, lets it carry what was sent to or comes back for 127.0.0.0/8. */
export function setUp(link: { name: string } | { index: number }, routeLocalnet = false): Uint8Array {
  const named: Attribute[] = 'name' in link ? [[ifla.name, text(link.name)]] : []
  const local: Attribute[] = routeLocalnet
    ? [[ifla.afSpec, [[inet, [[inetConf, [[confRouteLocalnet, u32(1)]]]]]]]]
    : []
  const header = linkHeader({ flags: up, ...('index' in link ? { index: link.index } : {}) })
  return encodeMessage(type.newLink, flag.request | flag.ack, header, [...named, ...local])
}

/**
 * A veth pair: one end up and in the bridge here, the other with its name and MAC in the namespace of descriptor
 * `netnsFd` (of the process that sends this).
 */
export function createVeth(options: {
  name: string
  mtu: number
  alias: string
  master: number
  peer: { name: string; mac: string; netnsFd: number }
}): Uint8Array {
  const { peer } = options
  const peerPart: Attribute[] = [
    [ifla.name, text(peer.name)],
    [ifla.address, macBytes(peer.mac)],
    [ifla.mtu, u32(options.mtu)],
    [ifla.netnsFd, u32(peer.netnsFd)],
  ]
  /* The peer's attribute starts with an ifinfomsg of its own: encoded as a message, whose header is cut off. */
  const peerBytes = encodeMessage(0, 0, linkHeader(), peerPart).subarray(16)
  return encodeMessage(
    type.newLink,
    flag.request | flag.ack | flag.create | flag.exclusive,
    linkHeader({ flags: up }),
    [
      [ifla.name, text(options.name)],
      [ifla.mtu, u32(options.mtu)],
      [ifla.alias, new TextEncoder().encode(options.alias)],
      [ifla.master, u32(options.master)],
      [
        ifla.linkInfo,
        [
          [info.kind, text('veth')],
          [info.data, [[vethPeer, peerBytes]]],
        ],
      ],
    ],
  )
}

/** A bridge's port sends back out of itself: a pod reaches itself through a service's address. */
export function setHairpin(name: string): Uint8Array {
  return encodeMessage(type.newLink, flag.request | flag.ack, linkHeader(), [
    [ifla.name, text(name)],
    [
      ifla.linkInfo,
      [
        [info.slaveKind, text('bridge')],
        [info.slaveData, [[bridgePort.hairpin, u8(1)]]],
      ],
    ],
  ])
}

export function deleteLink(name: string): Uint8Array {
  return encodeMessage(type.deleteLink, flag.request | flag.ack, linkHeader(), [[ifla.name, text(name)]])
}

export function getLink(name: string): Uint8Array {
  return encodeMessage(type.getLink, flag.request, linkHeader(), [[ifla.name, text(name)]])
}

export function dumpLinks(): Uint8Array {
  return encodeMessage(type.getLink, flag.request | flag.dump, linkHeader())
}

/** The link of an answer; nothing for another kind of message. */
export function decodeLink(message: Uint8Array): Link {
  const { fixed, attributes } = decodeMessage(message, 16)
  const linkInfo = decodeAttributes(attributes.get(ifla.linkInfo))
  return {
    index: fixed.getInt32(4, true),
    name: readText(attributes.get(ifla.name)) ?? '',
    up: (fixed.getUint32(8, true) & up) !== 0,
    mac: macText(attributes.get(ifla.address) ?? new Uint8Array()),
    mtu: readU32(attributes.get(ifla.mtu)) ?? 0,
    kind: readText(linkInfo.get(info.kind)),
    master: readU32(attributes.get(ifla.master)),
    peer: readU32(attributes.get(ifla.link)),
    alias: readText(attributes.get(ifla.alias)),
  }
}

/** struct ifaddrmsg: u8 family | u8 prefix length | u8 flags | u8 scope | u32 index */
export function addAddress(index: number, address: number, prefixLength: number): Uint8Array {
  const broadcast = (address | (prefixLength === 32 ? 0 : 0xffffffff >>> prefixLength)) >>> 0
  return encodeMessage(
    type.newAddress,
    flag.request | flag.ack | flag.create | flag.replace,
    concat(Uint8Array.of(inet, prefixLength, 0, 0), u32(index)),
    [
      [2, ipv4Bytes(address)],
      [1, ipv4Bytes(address)],
      [4, ipv4Bytes(broadcast)],
    ],
  )
}

export interface Route {
  /** Nothing: the default route. */
  readonly to: Subnet | undefined
  readonly via?: number
  /** The source address of this host's own packets. */
  readonly source?: number
  readonly device: number
}

/** One that is there is replaced, or with `keep` an error (EEXIST). */
export function addRoute(route: Route, options: { keep?: boolean } = {}): Uint8Array {
  const known = options.keep ? flag.exclusive : flag.replace
  return routeMessage(type.newRoute, flag.create | known, route)
}

/** ESRCH when there is none. */
export function deleteRoute(route: Route): Uint8Array {
  return routeMessage(type.deleteRoute, 0, route)
}

/** struct rtmsg: u8 family, to's length, from's length, tos, table, protocol, scope, type | u32 flags */
function routeMessage(what: number, flags: number, route: Route): Uint8Array {
  const tableMain = 254
  const protocolStatic = 4
  const unicast = 1
  const scope = route.via === undefined ? 253 : 0
  const length = route.to?.prefixLength ?? 0
  const attributes: Attribute[] = [[4, u32(route.device)]]
  if (route.to) attributes.unshift([1, ipv4Bytes(route.to.base)])
  if (route.via !== undefined) attributes.push([5, ipv4Bytes(route.via)])
  if (route.source !== undefined) attributes.push([7, ipv4Bytes(route.source)])
  const fixed = Uint8Array.of(inet, length, 0, 0, tableMain, protocolStatic, scope, unicast, 0, 0, 0, 0)
  return encodeMessage(what, flag.request | flag.ack | flags, fixed, attributes)
}

export function dumpRoutes(): Uint8Array {
  return encodeMessage(
    type.getRoute,
    flag.request | flag.dump,
    concat(Uint8Array.of(inet, 0, 0, 0, 0, 0, 0, 0), u32(0)),
  )
}

/** A unicast IPv4 route of the main table with a destination; nothing for others. */
export function decodeRoute(message: Uint8Array): { to: Subnet; device: number } | undefined {
  const { fixed, attributes } = decodeMessage(message, 12)
  const to = attributes.get(1)
  const device = readU32(attributes.get(4))
  if (fixed.getUint8(0) !== inet || fixed.getUint8(4) !== 254 || fixed.getUint8(7) !== 1) return undefined
  if (to?.length !== 4 || device === undefined) return undefined
  const base = new DataView(to.buffer, to.byteOffset, 4).getUint32(0)
  return { to: { base, prefixLength: fixed.getUint8(1) }, device }
}

function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(':'), (part) => Number.parseInt(part, 16))
}

function macText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':')
}
