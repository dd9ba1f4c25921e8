import { randomInt } from 'node:crypto'
import { messageOf } from '../../base/error.ts'
import type { Log } from '../../base/host/log.ts'
import type { Subnet } from '../address.ts'
import { type Elements, elementsOf, emptyElements, type Policy, type Target } from '../firewall/elements.ts'
import { servicesOf, withServices } from '../firewall/services.ts'
import { committedSequence, netlinkNetfilter, nftablesGroup } from '../netlink/nftables.ts'
import { splitMessages } from '../netlink/wire.ts'
import type { ServiceAddress } from '../types.ts'
import type { Connections } from './connections.ts'
import { ForeignChains } from './foreign.ts'
import type { Kernel } from './kernel.ts'
import { Table } from './table.ts'

const settleMs = 50

interface FirewallOptions {
  readonly relay: Kernel
  readonly connections: Connections
  /** Of the table, and mark of rules in others' chains. */
  readonly name: string
  readonly services: Subnet
  readonly dnsAddress: number
  readonly log: Log
  readonly policy: () => Policy
}

/**
 * berth's table and its rules in others' chains, kept as the policy says: changed when asked, and repaired when
 * somebody else changed nf_tables. Until the first `setServices` after a start, services are what the kernel holds.
 */
export class Firewall {
  readonly #options: FirewallOptions
  /**
   * Of all own transactions: tells their events from those of others. A PID would not do, for the kernel tells that of
   * its first PID namespace, whatever namespace berth is in; programs that write nf_tables count from 0 or the time.
   */
  readonly #sequence = randomInt(2 ** 31, 2 ** 32)
  readonly #table: Table
  readonly #foreign: ForeignChains
  /** Kept ready: they change seldom, and each change of an address compares all. */
  #services: Elements = emptyElements()
  #repair: NodeJS.Timeout | undefined
  #closed = false
  #unsubscribe = () => {}

  constructor(options: FirewallOptions) {
    this.#options = options
    const table = { family: 'ip' as const, table: options.name }
    this.#table = new Table(options.relay, {
      table,
      sequence: this.#sequence,
      services: options.services,
      onChanged: (ports) => void options.connections.forgetChanged(ports),
    })
    this.#foreign = new ForeignChains(options.relay, {
      ...options,
      sequence: this.#sequence,
      mark: options.name,
    })
  }

  async open(): Promise<void> {
    const found = await this.#table.observe()
    if (found) this.#services = servicesOf(found, elementsOf(this.#options.policy()), this.#options.services)
    const { relay } = this.#options
    this.#unsubscribe = await relay.subscribe(netlinkNetfilter, nftablesGroup, (event) =>
      this.#changed(event),
    )
    await this.applyBridges()
  }

  /** Makes berth's table hold what the policy says now. */
  apply(): Promise<void> {
    return this.#table.apply(() => this.#wanted())
  }

  /** The same, and the rules in chains of others, which name bridges. */
  async applyBridges(): Promise<void> {
    await Promise.all([this.apply(), this.#foreign.ensure(() => this.#bridges())])
  }

  async setServices(services: readonly ServiceAddress[]): Promise<void> {
    this.#services = elementsOf({ bridges: [], addresses: [], targets: services.flatMap(targetsOf) })
    await this.apply()
  }

  async close(options: { remove?: boolean }): Promise<void> {
    this.#closed = true
    this.#unsubscribe()
    clearTimeout(this.#repair)
    if (!options.remove) return
    await this.#foreign.ensure(() => [])
    await this.#table.remove()
  }

  #bridges(): readonly string[] {
    return this.#closed ? [] : this.#options.policy().bridges.map(({ name }) => name)
  }

  #wanted(): Elements {
    return withServices(elementsOf(this.#options.policy()), this.#services)
  }

  #changed(event: Uint8Array | undefined): void {
    if (this.#closed) return
    const sequences = event ? splitMessages(event).map(committedSequence) : []
    const isOwn = (sequence: number | undefined) => sequence === undefined || sequence === this.#sequence
    if (event && sequences.every(isOwn)) return
    this.#repair ??= setTimeout(() => {
      this.#repair = undefined
      this.#look().catch((error) =>
        this.#options.log('warn', 'Cannot repair the firewall', { error: messageOf(error) }),
      )
    }, settleMs)
  }

  async #look(): Promise<void> {
    if (!(await this.#table.isPresent())) {
      this.#options.log('warn', 'The nftables table was removed by somebody else: made anew', {
        table: this.#options.name,
      })
      this.#table.forget()
    }
    if (!this.#closed) await this.applyBridges()
  }
}

function targetsOf(service: ServiceAddress): Target[] {
  const { address, port, protocol, hostPort, endpoints, sticky = false } = service
  const shared = { protocol, endpoints, sticky }
  return [
    ...(address === undefined ? [] : [{ ...shared, address, port }]),
    ...(hostPort === undefined ? [] : [{ ...shared, address: undefined, port: hostPort }]),
  ]
}
