import { messageOf } from '../../base/error.ts'
import type { Log } from '../../base/host/log.ts'
import { type ForeignChain, foreignChains, planAccepts } from '../firewall/foreign.ts'
import {
  decodeChain,
  decodeRule,
  dumpChains,
  dumpRules,
  netlinkNetfilter,
  transaction,
} from '../netlink/nftables.ts'
import type { Kernel } from './kernel.ts'

interface ForeignOptions {
  /** Begins the comments of berth's rules. */
  readonly mark: string
  /** Of the transactions; 0 when absent. */
  readonly sequence?: number
  readonly dnsAddress: number
  readonly log: Log
}

/** Keeps berth's accept rules in chains of others that drop containers' traffic. One pass at a time. */
export class ForeignChains {
  readonly #relay: Kernel
  readonly #options: ForeignOptions
  #turn: Promise<number> = Promise.resolve(0)

  constructor(relay: Kernel, options: ForeignOptions) {
    this.#relay = relay
    this.#options = options
  }

  /** Looks, and adds or removes what is needed for these bridges; for none, removes all. Idempotent. Gives how many. */
  ensure(bridges: () => readonly string[]): Promise<number> {
    const next = this.#turn.catch(() => {}).then(() => this.#ensure(bridges()))
    this.#turn = next
    return next
  }

  async #ensure(bridges: readonly string[]): Promise<number> {
    for (let attempt = 1; ; attempt++) {
      const changes = planAccepts(await this.#observe(), { ...this.#options, bridges })
      if (changes.length === 0) return 0
      try {
        const change = transaction(changes, this.#options.sequence)
        await this.#ask(change, 'accept traffic of berth in a chain that drops')
        this.#options.log('info', 'Changed accept rules in foreign chains', { changes: changes.length })
        return changes.length
      } catch (error) {
        /* The other side is at work too (docker starts): look again. */
        if (attempt === 5) throw error
        this.#options.log('debug', 'A foreign chain changed meanwhile', { error: messageOf(error) })
      }
    }
  }

  async #observe(): Promise<ForeignChain[]> {
    const chains = (await this.#ask(dumpChains(), 'list chains')).map(decodeChain)
    const foreign = foreignChains(chains.filter((chain) => chain !== undefined))
    return Promise.all(
      foreign.map(async (chain) => {
        const rules = await this.#ask(dumpRules(chain, chain.chain), `list rules of ${chain.table}`)
        return { ...chain, rules: rules.map(decodeRule).filter((rule) => rule !== undefined) }
      }),
    )
  }

  #ask(message: Uint8Array, action: string): Promise<Uint8Array[]> {
    return this.#relay.netlink(netlinkNetfilter, message, { action })
  }
}
