import { ipv4Bytes } from '../address.ts'
import * as x from '../netlink/expressions.ts'
import {
  addRule,
  type ChainFacts,
  deleteRule,
  hooks,
  type RuleFacts,
  type TableRef,
} from '../netlink/nftables.ts'
import { be16, text } from '../netlink/wire.ts'

/**
 * A packet must pass every table's chains, so that a `FORWARD` that drops (docker's policy, ufw, firewalld) stops
 * berth's traffic whatever berth's own table says. berth puts accept rules for its bridges in front of such chains,
 * marked by their comment and in the form that iptables-nft writes itself, so that it still reads its table; what may
 * pass is decided in berth's own forward chain. Where `INPUT` drops, containers' questions to DNS are let in.
 */
export interface ForeignChain extends TableRef {
  readonly chain: string
  readonly hook: number | undefined
  /** All rules of the chain, in order. */
  readonly rules: readonly RuleFacts[]
  /** Its policy is drop. */
  readonly drops: boolean
}

export interface AcceptOptions {
  readonly bridges: readonly string[]
  /** Begins the comments of berth's rules. */
  readonly mark: string
  /** Where containers find DNS. */
  readonly dnsAddress: number
}

interface Accept {
  readonly comment: string
  readonly expressions: readonly x.Expression[]
}

/** Base chains on the way of containers' packets that are not berth's (of this or another instance). */
export function foreignChains(chains: readonly ChainFacts[]): readonly ChainFacts[] {
  return chains.filter(
    ({ hook, table }) =>
      (hook === hooks.forward || hook === hooks.input) && !/^berth(-[0-9a-f]{6})?$/.test(table),
  )
}

/** The changes that give each chain that may drop exactly one of each accept rule, before any rule that drops. */
export function planAccepts(foreign: readonly ForeignChain[], options: AcceptOptions): readonly Uint8Array[] {
  return foreign.flatMap((chain) => {
    const ours = chain.rules.filter((rule) => rule.comment?.startsWith(`${options.mark}: `))
    const firstStop = chain.rules.findIndex((rule) => !ours.includes(rule) && rule.stops)
    const wanted = chain.drops || firstStop >= 0 ? acceptsOf(chain.hook, options) : []
    const comments = new Set(wanted.map(({ comment }) => comment))
    const kept = new Set<string>()
    const gone = ours.filter((rule) => {
      const comment = rule.comment ?? ''
      /* Behind a rule that drops ours is useless: it is set anew. */
      const late = firstStop >= 0 && chain.rules.indexOf(rule) > firstStop
      if (late || kept.has(comment) || !comments.has(comment)) return true
      kept.add(comment)
      return false
    })
    const missing = wanted.filter(({ comment }) => !kept.has(comment))
    return [
      ...gone.map((rule) => deleteRule(chain, chain.chain, rule.handle)),
      ...missing.map((accept) => addRule(chain, chain.chain, { ...accept, first: true })),
    ]
  })
}

function acceptsOf(
  hook: number | undefined,
  { bridges, mark, dnsAddress }: AcceptOptions,
): readonly Accept[] {
  const allow = (what: string, match: readonly x.Expression[]): Accept => ({
    comment: `${mark}: ${what}`,
    expressions: [...match, x.counter, x.decide({ verdict: 'accept' })],
  })
  /* With its NUL: exactly this name, as iptables writes `-i berth0`. */
  const through = (way: 'iifname' | 'oifname', bridge: string) => [x.meta(way, 1), x.compare(1, text(bridge))]
  if (hook === hooks.forward) {
    return bridges.flatMap((bridge) =>
      (['iifname', 'oifname'] as const).map((way) => allow(`${way} ${bridge}`, through(way, bridge))),
    )
  }
  return bridges.flatMap((bridge) =>
    Object.entries({ udp: 17, tcp: 6 }).map(([name, protocol]) =>
      allow(`dns ${name} ${bridge}`, [
        ...through('iifname', bridge),
        x.meta('l4proto', 1),
        x.compare(1, Uint8Array.of(protocol)),
        x.loadDestination(1),
        x.compare(1, ipv4Bytes(dnsAddress)),
        x.loadPort(1),
        x.compare(1, be16(53)),
      ]),
    ),
  )
}
