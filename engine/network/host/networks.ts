import { createHash } from 'node:crypto'
import { BerthError, messageOf } from '../../base/error.ts'
import { newId } from '../../base/host/id.ts'
import type { Log } from '../../base/host/log.ts'
import type { Relay } from '../../runtime/host/relay.ts'
import type { Collection } from '../../store/collection.ts'
import {
  contains,
  formatIpv4,
  formatSubnet,
  isIpv4,
  parseIpv4,
  parseSubnet,
  type Subnet,
  sizeOf,
} from '../address.ts'
import { NameTable } from '../names.ts'
import { planSubnet, splitPool } from '../networks.ts'
import { macOf, nextFree } from '../pool.ts'
import { portTargets } from '../ports.ts'
import type { Endpoint, Lease, NetworkRecord, PublishedPort, ServiceAddress } from '../types.ts'
import { Firewall } from './firewall.ts'
import { Links } from './links.ts'
import { type PortHolder, PublishedPorts } from './ports.ts'

export interface NetworksOptions {
  readonly relay: Relay
  readonly records: Collection<NetworkRecord>
  readonly leases: Collection<Lease>
  /** Empty, or six digits that end all names. */
  readonly instance: string
  /** Addresses of all networks: the first half is the default network's, others take /24 of the second. */
  readonly subnet: string
  readonly serviceSubnet: string
  readonly domain: string
  readonly log: Log
  /** Keeps others from binding published ports. */
  readonly holder?: PortHolder
  readonly now: () => number
}

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

/** Docker's name of the network that everything is on unless it says otherwise. */
export const defaultNetwork = 'bridge'

const mtu = 1500

/**
 * Networks, addresses and the firewall of this host. What is recorded is restored by `open`; what is there without a
 * record is removed by `reconcile`. Invariants: a link in one of berth's bridges has a lease or is being removed; an
 * address has at most one lease; the table says what records, leases and services say as soon as a call has settled.
 */
export class Networks implements AsyncDisposable {
  readonly names: NameTable
  readonly #options: NetworksOptions
  readonly #links: Links
  readonly #firewall: Firewall
  readonly #ports: PublishedPorts
  readonly #pool: Subnet
  readonly #services: Subnet
  readonly #bridges = new Map<string, number>()
  readonly #last = new Map<string, number>()
  /** Links that are going, by name. */
  readonly #leaving = new Map<string, Promise<void>>()

  private constructor(options: NetworksOptions) {
    this.#options = options
    this.names = new NameTable(options.domain)
    this.#links = new Links(options.relay)
    this.#pool = parseSubnet(options.subnet)
    this.#services = parseSubnet(options.serviceSubnet)
    this.#ports = new PublishedPorts(options)
    this.#firewall = new Firewall({
      relay: options.relay,
      name: this.#suffixed('berth'),
      services: this.#services,
      log: options.log,
      policy: () => ({
        bridges: [...options.records.entries()].map(([, { bridge, internal }]) => ({
          name: bridge,
          internal,
        })),
        addresses: this.#leases().map(({ address, network }) => ({
          address,
          internal: options.records.get(network)?.internal ?? false,
        })),
        targets: this.#leases().flatMap(({ ports }) => ports.flatMap(portTargets)),
      }),
    })
  }

  /** Opens, and restores what is recorded: bridges, table, accept rules; services stay as they are until told. */
  static async open(options: Omit<NetworksOptions, 'now'> & { now?: () => number }): Promise<Networks> {
    const networks = new Networks({ now: Date.now, ...options })
    await networks.#restore()
    return networks
  }

  /** The network of everything that names none; made when missing. */
  async ensureDefault(): Promise<NetworkRecord> {
    const known = this.#options.records.get(defaultNetwork)
    if (known) return known
    const subnet = splitPool(this.#pool).first
    return this.#make({
      name: defaultNetwork,
      subnet,
      bridge: this.#suffixed('berth0'),
      internal: false,
      labels: {},
    })
  }

  /** The address at which containers find DNS: the first of the default network. */
  get dnsAddress(): string {
    return formatIpv4(this.#pool.base + 1)
  }

  async create(
    name: string,
    options: {
      subnet?: string
      gateway?: string
      internal?: boolean
      labels?: Readonly<Record<string, string>>
    } = {},
  ): Promise<NetworkRecord> {
    if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) {
      throw new BerthError(
        'INVALID',
        `Cannot create network ${JSON.stringify(name)}: letters, digits, "_", "." and "-" only`,
      )
    }
    if (this.#options.records.get(name) || ['host', 'none'].includes(name)) {
      throw new BerthError('ALREADY_EXISTS', `Cannot create network "${name}": it exists`)
    }
    const subnet = planSubnet({
      ...(options.subnet === undefined ? {} : { asked: parseSubnet(options.subnet) }),
      pool: this.#pool,
      services: this.#services,
      networks: this.list().map((record) => ({ name: record.name, subnet: parseSubnet(record.subnet) })),
      routes: (await this.#links.routes()).map(({ to }) => to),
    })
    const id = newId()
    return this.#make({
      id,
      name,
      subnet,
      bridge: this.#suffixed(`bn${id.slice(0, 6)}`),
      internal: options.internal ?? false,
      labels: options.labels ?? {},
      ...(options.gateway === undefined ? {} : { gateway: parseIpv4(options.gateway) }),
    })
  }

  /** Refuses a network that has endpoints, and the default one. Idempotent. */
  async remove(nameOrId: string): Promise<void> {
    const name = this.resolve(nameOrId)
    const record = name === undefined ? undefined : this.#options.records.get(name)
    if (!record) return
    const used = this.#leases().filter((lease) => lease.network === record.name)
    if (used.length > 0 || record.name === defaultNetwork) {
      const reason = used.length > 0 ? `${used.length} containers are on it` : 'it is the default network'
      throw new BerthError('CONFLICT', `Cannot remove network "${record.name}": ${reason}`, {
        details: { sandboxes: used.map((lease) => lease.sandboxId) },
      })
    }
    await this.#links.remove(record.bridge)
    this.#bridges.delete(record.name)
    await this.#options.records.write({ remove: [record.name] })
    await this.#firewall.apply()
  }

  list(): NetworkRecord[] {
    return [...this.#options.records.entries()].map(([, record]) => record)
  }

  /** The name of a network by name, id or unique start of an id; nothing when there is none. */
  resolve(nameOrId: string): string | undefined {
    if (this.#options.records.get(nameOrId)) return nameOrId
    if (nameOrId === 'default') return defaultNetwork
    const found = this.list().filter((record) => nameOrId.length > 0 && record.id.startsWith(nameOrId))
    return found.length === 1 ? found[0]?.name : undefined
  }

  /** A network with who is on it, and by which link of its bridge. */
  inspect(nameOrId: string): { record: NetworkRecord; endpoints: readonly Lease[] } {
    const record = this.#record(nameOrId)
    return { record, endpoints: this.#leases().filter((lease) => lease.network === record.name) }
  }

  /** Name server and search list of a sandbox on this network; nothing for the host's own. */
  resolver(
    nameOrId: string,
  ): { servers: readonly string[]; search: readonly string[]; options: readonly string[] } | undefined {
    if (this.resolve(nameOrId) === undefined) return undefined
    return { servers: [this.dnsAddress], search: [], options: ['ndots:0'] }
  }

  /**
   * Puts an interface into the namespace. The lease is recorded; a second call for the same sandbox and network gives
   * the same endpoint and repairs its link. After a failure nothing of it is left.
   */
  async attach(nameOrId: string, options: AttachOptions): Promise<Endpoint> {
    const record = this.#record(nameOrId)
    const endpointId = createHash('sha256').update(`${record.id}\0${options.sandboxId}`).digest('hex')
    const link = `bv${endpointId.slice(0, 12)}`
    const known = this.#options.leases.get(endpointId)
    const address = known ? parseIpv4(known.address) : this.#allocate(record, options.address)
    const lease: Lease = {
      endpointId,
      network: record.name,
      sandboxId: options.sandboxId,
      address: formatIpv4(address),
      mac: known?.mac ?? options.mac ?? macOf(address),
      link,
      netns: options.netns,
      interfaceName: options.interfaceName,
      hostname: options.hostname,
      aliases: options.aliases,
      ports: known?.ports ?? [],
    }
    const written = this.#options.leases.write({ put: { [endpointId]: lease } })
    this.#setNames(lease)
    await this.#leaving.get(link)
    const done = await Promise.allSettled([written, this.#connect(lease), this.#firewall.apply()])
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

  /**
   * Gives the address back and closes the ports. The link goes in the background (`settled` waits for it). Idempotent.
   */
  async detach(endpointId: string): Promise<void> {
    const lease = this.#options.leases.get(endpointId)
    if (!lease) return
    this.names.removeEndpoint(lease.network, lease.sandboxId)
    const written = this.#options.leases.write({ remove: [endpointId] })
    this.#leave(lease.link, async () => {
      const others = this.#leases().filter((other) => other.sandboxId === lease.sandboxId)
      /* The default route went with the link: another network's takes its place. */
      for (const other of others) await this.#connect(other)
    })
    await Promise.all([written, this.#firewall.apply(), this.#ports.release(lease.ports)])
  }

  /**
   * Opens ports of a sandbox's endpoints; port 0 draws a free one. Gives them as bound. Replaces those of before.
   * A port that is taken is CONFLICT.
   */
  async publish(sandboxId: string, ports: readonly PublishedPort[]): Promise<readonly PublishedPort[]> {
    const mine = this.#leases().filter((lease) => lease.sandboxId === sandboxId)
    const stray = ports.find((port) => !mine.some((lease) => lease.address === port.address))
    if (stray) {
      throw new BerthError(
        'INVALID',
        `Cannot publish port ${stray.containerPort}: ${stray.address} is no address of the sandbox`,
      )
    }
    const before = mine.flatMap((lease) => lease.ports)
    const taken = this.#leases()
      .filter((lease) => lease.sandboxId !== sandboxId)
      .flatMap((lease) => lease.ports)
    const bound = await this.#ports.bind(ports, { before, taken })
    const put = mine.map((lease) => [
      lease.endpointId,
      { ...lease, ports: bound.filter((port) => port.address === lease.address) },
    ])
    const written = this.#options.leases.write({ put: Object.fromEntries(put) })
    await Promise.all([written, this.#firewall.apply()])
    return bound
  }

  /** Idempotent. */
  async unpublish(sandboxId: string): Promise<void> {
    await this.publish(sandboxId, [])
  }

  /** All ports of all services there are; replaces those of before. Connections to removed endpoints go on. */
  async setServices(services: readonly ServiceAddress[]): Promise<void> {
    await this.#firewall.setServices(services)
  }

  /**
   * Removes endpoints of sandboxes that do not live and links that nobody knows, and makes what is missing for those
   * that do.
   */
  async reconcile(livingSandboxIds: ReadonlySet<string>): Promise<void> {
    for (const lease of this.#leases()) {
      if (!livingSandboxIds.has(lease.sandboxId)) await this.detach(lease.endpointId)
    }
    const links = await this.#links.list()
    const bridges = new Set(this.#bridges.values())
    const known = new Set(this.#leases().map((lease) => lease.link))
    for (const link of links.filter((l) => l.master !== undefined && bridges.has(l.master))) {
      if (!known.has(link.name) && link.name.startsWith('bv')) this.#leave(link.name)
    }
    const there = new Set(links.map((link) => link.name))
    for (const lease of this.#leases().filter((l) => !there.has(l.link))) {
      await this.#connect(lease).catch((error) => this.#warn(`Cannot restore link ${lease.link}`, error))
    }
    await this.#firewall.apply()
  }

  /** Settles when links that are going have gone. */
  async settled(): Promise<void> {
    while (this.#leaving.size > 0) await Promise.all(this.#leaving.values())
  }

  /** Stops watching. With `remove`, takes bridges, table and accept rules away; records and leases stay. */
  async close(options: { remove?: boolean } = {}): Promise<void> {
    await this.settled()
    await this.#firewall.close(options)
    if (!options.remove) return
    for (const link of await this.#links.list()) {
      const master = [...this.#bridges.values()].includes(link.master ?? -1)
      if (master && link.name.startsWith('bv')) await this.#links.remove(link.name)
    }
    for (const record of this.list()) await this.#links.remove(record.bridge)
    await this.#ports.release(this.#leases().flatMap((lease) => lease.ports))
    this.#bridges.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #restore(): Promise<void> {
    await this.#options.relay.sysctl('net.ipv4.ip_forward', '1')
    await this.#removeStrangers()
    for (const record of this.list()) await this.#ensureBridge(record)
    for (const lease of this.#leases()) {
      this.#setNames(lease)
      this.#last.set(lease.network, Math.max(this.#last.get(lease.network) ?? 0, parseIpv4(lease.address)))
    }
    await this.#ports.restore(this.#leases().flatMap((lease) => lease.ports))
    await this.#firewall.open()
  }

  /** Bridges of this instance that have no record: left by a removal that was cut off. */
  async #removeStrangers(): Promise<void> {
    const known = new Set(this.list().map((record) => record.bridge))
    for (const link of await this.#links.list()) {
      if (link.kind !== 'bridge' || link.alias !== this.#alias || known.has(link.name)) continue
      await this.#links.remove(link.name)
    }
  }

  async #make(network: {
    id?: string
    name: string
    subnet: Subnet
    gateway?: number
    bridge: string
    internal: boolean
    labels: Readonly<Record<string, string>>
  }): Promise<NetworkRecord> {
    const record: NetworkRecord = {
      id: network.id ?? newId(),
      name: network.name,
      bridge: network.bridge,
      subnet: formatSubnet(network.subnet),
      gateway: formatIpv4(network.gateway ?? network.subnet.base + 1),
      internal: network.internal,
      labels: network.labels,
      created: this.#options.now(),
    }
    await this.#options.records.write({ put: { [record.name]: record } })
    try {
      await this.#ensureBridge(record)
      await this.#firewall.apply()
    } catch (error) {
      await this.#options.records.write({ remove: [record.name] })
      await this.#links.remove(record.bridge)
      throw error
    }
    return record
  }

  async #ensureBridge(record: NetworkRecord): Promise<void> {
    const address = parseIpv4(record.gateway)
    const { prefixLength } = parseSubnet(record.subnet)
    const bridge = {
      name: record.bridge,
      mac: macOf(address),
      mtu,
      alias: this.#alias,
      address,
      prefixLength,
    }
    const index = await this.#links.ensureBridge(bridge)
    this.#bridges.set(record.name, index)
    if (record.name === defaultNetwork) await this.#links.ensureRoute(this.#services, index)
  }

  async #connect(lease: Lease): Promise<void> {
    const record = this.#record(lease.network)
    const gateway = parseIpv4(record.gateway)
    await this.#links.connect({
      link: lease.link,
      alias: `berth ${lease.sandboxId}`,
      bridge: this.#bridges.get(record.name) ?? 0,
      mtu,
      netns: lease.netns,
      interfaceName: lease.interfaceName,
      mac: lease.mac,
      address: parseIpv4(lease.address),
      prefixLength: parseSubnet(record.subnet).prefixLength,
      gateway: record.internal ? undefined : gateway,
      hosts: record.internal ? [{ to: parseIpv4(this.dnsAddress), via: gateway }] : [],
    })
  }

  #leave(link: string, then: () => Promise<void> = async () => {}): void {
    const gone = this.#links
      .remove(link)
      .then(then)
      .catch((error) => this.#warn(`Cannot remove link ${link}`, error))
      .finally(() => this.#leaving.delete(link))
    this.#leaving.set(link, gone)
  }

  #allocate(record: NetworkRecord, asked: string | undefined): number {
    const subnet = parseSubnet(record.subnet)
    const leases = this.#leases().filter((lease) => lease.network === record.name)
    const taken = new Set([parseIpv4(record.gateway), ...leases.map((lease) => parseIpv4(lease.address))])
    if (asked !== undefined && asked !== '') {
      const address = isIpv4(asked) ? parseIpv4(asked) : -1
      const first = address === subnet.base || address === subnet.base + sizeOf(subnet) - 1
      if (!contains(subnet, address) || first || taken.has(address)) {
        const reason = taken.has(address) ? 'it is in use' : `it is not one of ${record.subnet}`
        throw new BerthError(
          'CONFLICT',
          `Cannot lease address ${asked} on network "${record.name}": ${reason}`,
        )
      }
      return address
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
    this.names.setEndpoint({ network, sandboxId, address, names })
  }

  #record(nameOrId: string): NetworkRecord {
    const name = this.resolve(nameOrId)
    const record = name === undefined ? undefined : this.#options.records.get(name)
    if (!record)
      throw new BerthError('NOT_FOUND', `Cannot find network "${nameOrId}"`, { hint: 'berth network ls' })
    return record
  }

  #leases(): Lease[] {
    return [...this.#options.leases.entries()].map(([, lease]) => lease)
  }

  get #alias(): string {
    return this.#suffixed('berth network')
  }

  #suffixed(name: string): string {
    return this.#options.instance === '' ? name : `${name}-${this.#options.instance}`
  }

  #warn(message: string, error: unknown): void {
    this.#options.log('warn', message, { error: messageOf(error) })
  }
}
