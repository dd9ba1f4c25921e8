import { createHash } from 'node:crypto'
import { ipv4Bytes, maskOf, type Subnet } from '../address.ts'
import * as x from '../netlink/expressions.ts'
import { addChain, addRule, addSet, type BaseChain, type TableRef } from '../netlink/nftables.ts'
import { text, u32 } from '../netlink/wire.ts'
import { setNames, sets } from './sets.ts'

const r = x.reg
const established = 0x2
const related = 0x4
const translated = 0x20 /* IPS_DST_NAT */
const local = 2 /* RTN_LOCAL */
const tcp = 6

type Rule = readonly x.Expression[]
interface Chain {
  readonly name: string
  readonly base?: BaseChain
  readonly rules: readonly Rule[]
}

const fromBridge = [x.meta('iifname', r(0)), x.inSet(sets.bridges.name, r(0))]
const toBridge = [x.meta('oifname', r(0)), x.inSet(sets.bridges.name, r(0))]
const bits = (load: x.Expression, wanted: number) => [
  load,
  x.mask(r(0), u32(wanted)),
  x.compare(r(0), u32(0), true),
]
const within = (load: x.Expression, { base, prefixLength }: Subnet) => [
  load,
  x.mask(r(0), ipv4Bytes(maskOf(prefixLength))),
  x.compare(r(0), ipv4Bytes(base)),
]
const loopback: Subnet = { base: 0x7f000000, prefixLength: 8 }
const ifname = (name: string) => Uint8Array.from({ length: 16 }, (_, i) => text(name)[i] ?? 0)
const accept = x.decide({ verdict: 'accept' })
const drop = x.decide({ verdict: 'drop' })

/** Chains and rules, as far as they do not depend on what runs. Read it aloud: it is the whole policy. */
function chains(services: Subnet): readonly Chain[] {
  return [
    { name: 'refuse', rules: [refuseTcp, [x.reject('icmp')]] },
    {
      name: 'translate',
      rules: [
        /* An address and port of a service, or published on one address of the host. */
        [x.loadDestination(r(0)), x.meta('l4proto', r(1)), x.loadPort(r(2)), x.fromMap('services', r(0), 0)],
        /* A port published on every address of the host. */
        [
          x.destinationKind(r(0)),
          x.compare(r(0), u32(local)),
          x.meta('l4proto', r(0)),
          x.loadPort(r(1)),
          x.fromMap('host-services', r(0), 0),
        ],
      ],
    },
    {
      /* Before connection tracking: what claims to be loopback and comes from outside (CVE-2020-8558). */
      name: 'guard',
      base: { type: 'filter', hook: 'prerouting', priority: -300 },
      rules: [
        [
          x.meta('iifname', r(4)),
          x.compare(r(4), ifname('lo'), true),
          ...within(x.loadDestination(r(0)), loopback),
          drop,
        ],
        [
          x.meta('iifname', r(4)),
          x.inSet(sets.bridges.name, r(4)),
          ...within(x.loadSource(r(0)), loopback),
          drop,
        ],
      ],
    },
    {
      name: 'prerouting',
      base: { type: 'nat', hook: 'prerouting', priority: -100 },
      rules: [[x.decide({ verdict: 'jump', chain: 'translate' })]],
    },
    {
      name: 'output',
      base: { type: 'nat', hook: 'output', priority: -100 },
      rules: [[x.decide({ verdict: 'jump', chain: 'translate' })]],
    },
    {
      name: 'postrouting',
      base: { type: 'nat', hook: 'postrouting', priority: 100 },
      rules: [
        [x.loadSource(r(0)), x.loadDestination(r(1)), x.inSet(sets.self.name, r(0)), x.masquerade],
        [
          x.meta('oifname', r(4)),
          x.inSet(sets.bridges.name, r(4)),
          ...within(x.loadSource(r(0)), loopback),
          x.masquerade,
        ],
        [
          x.loadSource(r(0)),
          x.inSet(sets.outgoing.name, r(0)),
          x.meta('oifname', r(0)),
          x.inSet(sets.bridges.name, r(0), true),
          x.masquerade,
        ],
      ],
    },
    {
      name: 'forward',
      base: { type: 'filter', hook: 'forward', priority: 0 },
      rules: [
        [...within(x.loadDestination(r(0)), services), x.decide({ verdict: 'goto', chain: 'refuse' })],
        [...bits(x.tracked('state', r(0)), established | related), accept],
        [x.meta('iifname', r(0)), x.meta('oifname', r(4)), x.inSet(sets.neighbours.name, r(0)), accept],
        [x.meta('iifname', r(0)), x.inSet(sets.internal.name, r(0)), drop],
        [x.meta('oifname', r(0)), x.inSet(sets.internal.name, r(0)), drop],
        /* Through a service or a published port: open to all networks. */
        [...bits(x.tracked('status', r(0)), translated), accept],
        [...toBridge, drop],
        [...fromBridge, accept],
      ],
    },
    {
      name: 'output-filter',
      base: { type: 'filter', hook: 'output', priority: 0 },
      rules: [[...within(x.loadDestination(r(0)), services), x.decide({ verdict: 'goto', chain: 'refuse' })]],
    },
  ]
}

const refuseTcp: Rule = [x.meta('l4proto', r(0)), x.compare(r(0), Uint8Array.of(tcp)), x.reject('tcp-reset')]

interface Pick {
  /** By the host's port only, not by address. */
  readonly host: boolean
  /** By the client's address, not at random. */
  readonly sticky: boolean
  /** Of so many endpoints. */
  readonly count: number
}

/** The name of the chain that picks one endpoint. */
export function pickChain({ host, sticky, count }: Pick): string {
  return `${host ? 'host-' : ''}${sticky ? 'stick' : 'pick'}-${count}`
}

/** What a chain of this name picks; nothing for another chain. */
export function parsePickChain(name: string): Pick | undefined {
  const match = /^(host-)?(pick|stick)-([1-9]\d{0,8})$/.exec(name)
  return match ? { host: !!match[1], sticky: match[2] === 'stick', count: Number(match[3]) } : undefined
}

/** Makes the chain of this name: draw a number, find the endpoint under it, translate to that. */
export function addPickChain(ref: TableRef, name: string): Uint8Array[] {
  const pick = parsePickChain(name)
  if (!pick) return []
  const key = pick.host ? [] : [x.loadDestination(r(0))]
  const at = key.length
  const draw = pick.sticky
    ? [x.loadSource(r(8)), x.hash(r(8), 4, { modulus: pick.count, seed: 0x62657274, to: r(at + 2) })]
    : [x.random(pick.count, r(at + 2))]
  const map = pick.host ? sets.hostEndpoints.name : sets.endpoints.name
  const expressions = [
    ...key,
    x.meta('l4proto', r(at)),
    x.loadPort(r(at + 1)),
    ...draw,
    x.fromMap(map, r(0), r(12)),
    x.destinationNat(r(12), r(13)),
  ]
  return [addChain(ref, name), addRule(ref, name, { expressions })]
}

/** Sets, chains and rules in an empty table; the first rule's comment is `stamp`. */
export function addSkeleton(ref: TableRef, services: Subnet): Uint8Array[] {
  return withStamp(ref, services, stampOf(services))
}

/** Names this version of the skeleton: a table that carries it need not be made anew. */
export function stampOf(services: Subnet): string {
  const hash = createHash('sha256')
  const ref: TableRef = { family: 'ip', table: 'berth' }
  for (const message of withStamp(ref, services, '')) hash.update(message)
  for (const name of ['pick-2', 'stick-2', 'host-pick-2', 'host-stick-2']) {
    for (const message of addPickChain(ref, name)) hash.update(message)
  }
  return `berth ${hash.digest('hex').slice(0, 16)}`
}

/** The chain whose first rule carries the stamp. */
export const stampedChain = 'refuse'

function withStamp(ref: TableRef, services: Subnet, stamp: string): Uint8Array[] {
  const all = chains(services)
  return [
    ...setNames.map((name, index) => addSet(ref, sets[name], index + 1)),
    ...all.map(({ name, base }) => addChain(ref, name, base)),
    ...all.flatMap(({ name, rules }) =>
      rules.map((expressions, index) =>
        addRule(ref, name, {
          expressions,
          ...(name === stampedChain && index === 0 ? { comment: stamp } : {}),
        }),
      ),
    ),
  ]
}
