import { createHash } from 'node:crypto'
import { BerthError, messageOf } from '../../base/error.ts'
import type { Log } from '../../base/host/log.ts'
import type { Collection } from '../../store/collection.ts'
import { contains, formatIpv4, isIpv4, parseIpv4, parseSubnet, sizeOf } from '../address.ts'
import type { NameTable } from '../names.ts'
import { macOf, nextFree } from '../pool.ts'
import type { Endpoint, Lease, NetworkRecord, PublishedPort } from '../types.ts'
import { type Bridges, mtu } from './bridges.ts'
import type { Links } from './links.ts'

export interface AttachOptions {
  readonly sandboxId: string
  /** File of the sandbox's network namespace. */
  readonly netns: string
  readonly interfaceName: string
  readonly hostname: string
  readonly aliases: readonly string[]
  readonly address?: string
  readonly mac?: string
}

interface EndpointsOptions {
  readonly links: Pick<Links, 'list' | 'connect' | 'remove'>
  readonly bridges: Pick<Bridges, 'get' | 'indexOf' | 'owns'>
  readonly leases: Collection<Lease>
  readonly names: NameTable
  readonly dnsAddress: string
  readonly log: Log
  /** Brings the firewall to what the leases say. */
  readonly apply: () => Promise<void>
  /** Lets go of the ports of a lease that ended. */
  readonly closed: (lease: Lease) => Promise<void>
}

/** Leases and the links that they stand for. A link of berth's bridges has a lease or is being removed. */
export class Endpoints {
  readonly #options: EndpointsOptions
  /** The address that was given last, by network. */
  readonly #last = new Map<string, number>()
  /** Endpoints that were connected to their end since the start: others may be half done. */
  readonly #whole = new Set<string>()
  /** By link, the end of what was begun with it last: a link is made and removed in the order of the calls. */
  readonly #turns = new Map<string, Promise<unknown>>()
  /** Removals that are under way. */
  readonly #leaving = new Set<Promise<void>>()

  constructor(options: EndpointsOptions) {
    this.#options = options
  }

  list(): Lease[] {
    return [...this.#options.leases.entries()].map(([, lease]) => lease)
  }

  on(network: string): Lease[] {
    return this.list().filter((lease) => lease.network === network)
  }

  of(sandboxId: string): Lease[] {
    return this.list().filter((lease) => lease.sandboxId === sandboxId)
  }

  /** Names and addresses as the leases say. */
  restore(): void {
    for (const lease of this.list()) {
      this.#setNames(lease)
      this.#last.set(lease.network, Math.max(this.#last.get(lease.network) ?? 0, parseIpv4(lease.address)))
    }
  }

  async attach(record: NetworkRecord, options: AttachOptions): Promise<Endpoint> {
    const endpointId = createHash('sha256').update(`${record.id}\0${options.sandboxId}`).digest('hex')
    const known = this.#options.leases.get(endpointId)
    const address = known ? parseIpv4(known.address) : this.#allocate(record, options.address)
    const lease: Lease = {
      endpointId,
      network: record.name,
      sandboxId: options.sandboxId,
      address: formatIpv4(address),
      mac: known?.mac ?? options.mac ?? macOf(address),
      link: `bv${endpointId.slice(0, 12)}`,
      netns: options.netns,
      interfaceName: options.interfaceName,
      hostname: options.hostname,
      aliases: options.aliases,
      ports: known?.ports ?? [],
    }
    const written = this.#options.leases.write({ put: { [endpointId]: lease } })
    this.#setNames(lease)
    const done = await Promise.allSettled([written, this.#connect(lease), this.#options.apply()])
    const failed = done.find((result) => result.status === 'rejected')
    if (failed) {
      await this.detach(endpointId).catch((error) => this.#warn('Cannot undo an attach', error))
      throw failed.reason
    }
    return {
      endpointId,
      address: lease.address,
      prefixLength: parseSubnet(record.subnet).prefixLength,
      gateway: record.gateway,
      mac: lease.mac,
    }
  }

  async detach(endpointId: string): Promise<void> {
    const lease = this.#options.leases.get(endpointId)
    if (!lease) return
    this.#options.names.removeEndpoint(lease.network, lease.sandboxId)
    const written = this.#options.leases.write({ remove: [endpointId] })
    this.#whole.delete(endpointId)
    this.#leave(lease.link, lease.sandboxId)
    await Promise.all([written, this.#options.apply(), this.#options.closed(lease)])
  }

  /** Records the published ports of a sandbox, each with the lease of its address. */
  async setPorts(sandboxId: string, ports: readonly PublishedPort[]): Promise<void> {
    const leases = this.of(sandboxId).map((lease): [string, Lease] => [
      lease.endpointId,
      { ...lease, ports: ports.filter((port) => port.address === lease.address) },
    ])
    await this.#options.leases.write({ put: Object.fromEntries(leases) })
  }

  async reconcile(livingSandboxIds: ReadonlySet<string>): Promise<void> {
    const dead = this.list().filter((lease) => !livingSandboxIds.has(lease.sandboxId))
    await Promise.all(dead.map((lease) => this.detach(lease.endpointId)))
    const links = await this.#options.links.list()
    const known = new Set(this.list().map((lease) => lease.link))
    for (const { name, master } of links) {
      if (!known.has(name) && name.startsWith('bv') && this.#options.bridges.owns(master)) this.#leave(name)
    }
    const there = new Set(links.map((link) => link.name))
    for (const lease of this.list()) {
      if (there.has(lease.link) && this.#whole.has(lease.endpointId)) continue
      await this.#connect(lease).catch((error) => this.#warn(`Cannot restore link ${lease.link}`, error))
    }
  }

  /** Takes the links of all leases away, and waits for those that are going. */
  async clear(): Promise<void> {
    for (const link of await this.#options.links.list()) {
      if (link.name.startsWith('bv') && this.#options.bridges.owns(link.master)) this.#leave(link.name)
    }
    await this.settled()
  }

  /** Settles when links that are going have gone. */
  async settled(): Promise<void> {
    while (this.#leaving.size > 0) await Promise.all(this.#leaving)
  }

  #connect(lease: Lease): Promise<void> {
    return this.#inTurn(lease.link, () => this.#connectNow(lease))
  }

  async #connectNow(lease: Lease): Promise<void> {
    /* Detached while it waited: the removal that follows would find nothing, or be over. */
    if (!this.#options.leases.get(lease.endpointId)) return
    const record = this.#options.bridges.get(lease.network)
    const gateway = parseIpv4(record.gateway)
    await this.#options.links.connect({
      link: lease.link,
      alias: `berth ${lease.sandboxId}`,
      bridge: this.#options.bridges.indexOf(record.name),
      mtu,
      netns: lease.netns,
      interfaceName: lease.interfaceName,
      mac: lease.mac,
      address: parseIpv4(lease.address),
      prefixLength: parseSubnet(record.subnet).prefixLength,
      gateway: record.internal ? undefined : gateway,
      hosts: record.internal ? [{ to: parseIpv4(this.#options.dnsAddress), via: gateway }] : [],
    })
    this.#whole.add(lease.endpointId)
  }

  #leave(link: string, sandboxId?: string): void {
    const gone = this.#inTurn(link, () => this.#options.links.remove(link))
      .then(async () => {
        /* The default route may have gone with the link: another network's takes its place. */
        for (const other of sandboxId === undefined ? [] : this.of(sandboxId)) await this.#connect(other)
      })
      .catch((error) => this.#warn(`Cannot remove link ${link}`, error))
      .finally(() => this.#leaving.delete(gone))
    this.#leaving.add(gone)
  }

  /** Does it at once, or when what was begun with this link before has ended. */
  #inTurn(link: string, work: () => Promise<void>): Promise<void> {
    const before = this.#turns.get(link)
    const turn = before ? before.then(work) : work()
    const ended = turn
      .catch(() => {})
      .then(() => {
        if (this.#turns.get(link) === ended) this.#turns.delete(link)
      })
    this.#turns.set(link, ended)
    return turn
  }

  #allocate(record: NetworkRecord, asked: string | undefined): number {
    const subnet = parseSubnet(record.subnet)
    const taken = new Set(
      [record.gateway, ...this.on(record.name).map((lease) => lease.address)].map(parseIpv4),
    )
    if (asked !== undefined && asked !== '') {
      const address = isIpv4(asked) ? parseIpv4(asked) : -1
      const edge = address === subnet.base || address === subnet.base + sizeOf(subnet) - 1
      if (contains(subnet, address) && !edge && !taken.has(address)) return address
      const reason = taken.has(address) ? 'it is in use' : `it is none of ${record.subnet}`
      throw new BerthError('CONFLICT', `Cannot lease address ${asked} on network "${record.name}": ${reason}`)
    }
    const address = nextFree(subnet, { taken, last: this.#last.get(record.name) })
    if (address === undefined) {
      throw new BerthError(
        'CONFLICT',
        `Cannot lease an address on network "${record.name}": ${record.subnet} is full`,
      )
    }
    this.#last.set(record.name, address)
    return address
  }

  #setNames({ network, sandboxId, address, hostname, aliases }: Lease): void {
    const names = [...aliases, hostname].filter((name) => name !== '')
    this.#options.names.setEndpoint({ network, sandboxId, address, names })
  }

  #warn(message: string, error: unknown): void {
    this.#options.log('warn', message, { error: messageOf(error) })
  }
}
