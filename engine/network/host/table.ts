import { isBerthError } from '../../base/error.ts'
import type { Subnet } from '../address.ts'
import { type Loaded, planChange } from '../firewall/change.ts'
import { type Elements, emptyElements, keyOf } from '../firewall/elements.ts'
import { setNames, sets } from '../firewall/sets.ts'
import { parsePickChain, stampedChain, stampOf } from '../firewall/skeleton.ts'
import { type ChangedPort, changedUdpPorts } from '../firewall/stale.ts'
import {
  decodeChain,
  decodeElements,
  decodeRule,
  deleteTable,
  dumpChains,
  dumpElements,
  dumpRules,
  netlinkNetfilter,
  type TableRef,
  transaction,
} from '../netlink/nftables.ts'
import type { Kernel } from './kernel.ts'

interface TableOptions {
  readonly table: TableRef
  /** Of the transactions. */
  readonly sequence: number
  readonly services: Subnet
  /** Told of UDP ports whose endpoints a committed transaction changed. */
  readonly onChanged: (ports: readonly ChangedPort[]) => void
}

/**
 * berth's nf_tables table in the kernel. Invariant: `#loaded` is what the kernel holds, or undefined when that is not
 * known; one transaction is under way at a time, and what is wanted meanwhile goes together in the next.
 */
export class Table {
  readonly #relay: Kernel
  readonly #options: TableOptions
  #loaded: Loaded | undefined
  #running: Promise<void> | undefined
  #queued: Promise<void> | undefined

  constructor(relay: Kernel, options: TableOptions) {
    this.#relay = relay
    this.#options = options
  }

  get loaded(): Loaded | undefined {
    return this.#loaded
  }

  /** Looks what is there. A table of another version counts as none, but what it held is given back. */
  async observe(): Promise<Elements | undefined> {
    const chains = await this.#chains()
    const elements = emptyElements()
    this.#loaded = undefined
    if (!chains.includes(stampedChain)) return undefined
    for (const name of setNames) {
      const dump = dumpElements(this.#options.table, sets[name].name)
      const messages = await this.#ask(dump, `list set ${sets[name].name}`).catch(ignoreMissing)
      for (const element of messages.flatMap(decodeElements)) elements[name].set(keyOf(element.key), element)
    }
    const rules = await this.#ask(dumpRules(this.#options.table, stampedChain), 'list rules')
    if (rules.map(decodeRule).some((rule) => rule?.comment === stampOf(this.#options.services))) {
      this.#loaded = { elements, picks: new Set(chains.filter((name) => parsePickChain(name))) }
    }
    return elements
  }

  /** Whether the table is still there. */
  async isPresent(): Promise<boolean> {
    return (await this.#chains()).includes(stampedChain)
  }

  /** Forgets what is loaded: the next change makes the table anew. */
  forget(): void {
    this.#loaded = undefined
  }

  /**
   * Makes the kernel hold what `wanted` says when its turn comes. Settles when a transaction with it, or with
   * something newer, was committed.
   */
  apply(wanted: () => Elements): Promise<void> {
    if (!this.#running) {
      this.#running = this.#change(wanted).finally(() => {
        this.#running = undefined
      })
      return this.#running
    }
    this.#queued ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#queued = undefined
        return this.apply(wanted)
      })
    return this.#queued
  }

  /** Idempotent. */
  async remove(): Promise<void> {
    while (this.#running) await (this.#queued ?? this.#running).catch(() => {})
    this.#loaded = undefined
    await this.#commit([deleteTable(this.#options.table)], 'remove the nftables table').catch(ignoreMissing)
  }

  async #change(wanted: () => Elements): Promise<void> {
    try {
      await this.#changeOnce(wanted())
    } catch (error) {
      /* Somebody else changed the table (flush ruleset): made anew, all of it is right again. */
      if (!this.#loaded || !isBerthError(error, 'KERNEL')) throw error
      this.#loaded = undefined
      await this.#changeOnce(wanted())
    }
  }

  async #changeOnce(wanted: Elements): Promise<void> {
    const { changes, next } = planChange(this.#loaded, wanted, this.#options)
    if (changes.length > 0) await this.#commit(changes, 'change the nftables table')
    const ports = changedUdpPorts(this.#loaded?.elements ?? emptyElements(), wanted)
    this.#loaded = next
    if (ports.length > 0) this.#options.onChanged(ports)
  }

  async #chains(): Promise<string[]> {
    const { family, table } = this.#options.table
    const chains = (await this.#ask(dumpChains(), 'list chains')).map(decodeChain)
    return chains.flatMap((chain) => (chain?.family === family && chain.table === table ? [chain.chain] : []))
  }

  #ask(message: Uint8Array, action: string): Promise<Uint8Array[]> {
    return this.#relay.netlink(netlinkNetfilter, message, { action })
  }

  async #commit(changes: readonly Uint8Array[], action: string): Promise<Uint8Array[]> {
    return this.#ask(transaction(changes, this.#options.sequence), `${action} "${this.#options.table.table}"`)
  }
}

function ignoreMissing(error: unknown): Uint8Array[] {
  if (isBerthError(error) && error.details?.errno === 'ENOENT') return []
  throw error
}
