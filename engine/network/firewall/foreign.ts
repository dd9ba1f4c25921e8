import * as x from '../netlink/expressions.ts'
import {
  addRule,
  type ChainFacts,
  deleteRule,
  type Family,
  hooks,
  type RuleFacts,
  type TableRef,
} from '../netlink/nftables.ts'
import { text } from '../netlink/wire.ts'

/**
 * A packet must pass every table's chains, so that a `FORWARD` that drops (docker's policy, ufw, firewalld) stops
 * berth's traffic whatever berth's own table says. berth puts accept rules for its bridges in front of such chains,
 * marked by their comment and in the form that iptables-nft writes itself, so that it still reads its table; what may
 * pass is decided in berth's own forward chain.
 */
export interface ForeignChain extends TableRef {
  readonly chain: string
  /** All rules of the chain, in order. */
  readonly rules: readonly RuleFacts[]
  /** Its policy is drop. */
  readonly drops: boolean
}

/** Base chains on the way of forwarded packets that are not berth's (of this or another instance). */
export function foreignForward(chains: readonly ChainFacts[]): readonly ChainFacts[] {
  return chains.filter(({ hook, table }) => hook === hooks.forward && !/^berth(-[0-9a-f]{6})?$/.test(table))
}

/** The changes that give each chain that may drop exactly one accept rule for each way through each bridge. */
export function planAccepts(
  foreign: readonly ForeignChain[],
  options: { readonly bridges: readonly string[]; readonly mark: string },
): readonly Uint8Array[] {
  return foreign.flatMap((chain) => {
    const ours = chain.rules.filter((rule) => isMarked(rule.comment, options.mark))
    const theirs = chain.rules.filter((rule) => !ours.includes(rule))
    const needed = chain.drops || theirs.some((rule) => rule.stops)
    const wanted = needed ? options.bridges.flatMap((name) => ways.map((way) => ({ way, name }))) : []
    const comments = new Set(wanted.map(({ way, name }) => commentOf(options.mark, way, name)))
    /* A rule that drops in front of ours makes it useless: those are set anew. */
    const firstStop = chain.rules.findIndex((rule) => !ours.includes(rule) && rule.stops)
    const seen = new Set<string>()
    const gone = ours.filter((rule) => {
      const comment = rule.comment ?? ''
      const late = firstStop >= 0 && chain.rules.indexOf(rule) > firstStop
      const keep = comments.has(comment) && !seen.has(comment) && !late
      if (keep) seen.add(comment)
      return !keep
    })
    const missing = wanted.filter(({ way, name }) => !seen.has(commentOf(options.mark, way, name)))
    return [
      ...gone.map((rule) => deleteRule(chain, chain.chain, rule.handle)),
      ...missing.map(({ way, name }) => acceptRule(chain, chain.chain, { way, name, mark: options.mark })),
    ]
  })
}

const ways = ['iifname', 'oifname'] as const
type Way = (typeof ways)[number]

/** `berth: iifname berth0` */
const commentOf = (mark: string, way: Way, bridge: string) => `${mark}: ${way} ${bridge}`

const isMarked = (comment: string | undefined, mark: string) => comment?.startsWith(`${mark}: `) ?? false

function acceptRule(
  ref: { family: Family; table: string },
  chain: string,
  rule: { way: Way; name: string; mark: string },
): Uint8Array {
  return addRule(ref, chain, {
    first: true,
    comment: commentOf(rule.mark, rule.way, rule.name),
    expressions: [
      x.meta(rule.way, 1),
      /* With its NUL: exactly this name, as iptables writes `-i berth0`. */
      x.compare(1, text(rule.name)),
      x.counter,
      x.decide({ verdict: 'accept' }),
    ],
  })
}
