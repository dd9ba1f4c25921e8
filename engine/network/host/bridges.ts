import { BerthError } from '../../base/error.ts'
import { newId } from '../../base/host/id.ts'
import type { Collection } from '../../store/collection.ts'
import { formatIpv4, formatSubnet, overlaps, parseIpv4, parseSubnet, type Subnet } from '../address.ts'
import { planSubnet, splitPool } from '../networks.ts'
import { macOf } from '../pool.ts'
import type { NetworkRecord } from '../types.ts'
import type { Links } from './links.ts'

/** Docker's name of the network that everything is on unless it says otherwise. */
export const defaultNetwork = 'bridge'

/** Of bridges and links. */
export const mtu = 1500

export interface NetworkSettings {
  readonly subnet?: string
  readonly gateway?: string
  readonly internal?: boolean
  readonly labels?: Readonly<Record<string, string>>
}

interface BridgesOptions {
  readonly links: Links
  readonly records: Collection<NetworkRecord>
  readonly pool: Subnet
  readonly services: Subnet
  /** Ends a name with the instance. */
  readonly suffixed: (name: string) => string
  readonly now: () => number
}

/** The networks on record and their bridges. A record is written before its bridge is made. */
export class Bridges {
  readonly #options: BridgesOptions
  /** Indices of the bridges, by network. */
  readonly #indices = new Map<string, number>()

  constructor(options: BridgesOptions) {
    this.#options = options
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

  /** Throws NOT_FOUND. */
  get(nameOrId: string): NetworkRecord {
    const name = this.resolve(nameOrId)
    const record = name === undefined ? undefined : this.#options.records.get(name)
    if (!record) {
      throw new BerthError('NOT_FOUND', `Cannot find network "${nameOrId}"`, { hint: 'berth network ls' })
    }
    return record
  }

  indexOf(network: string): number {
    return this.#indices.get(network) ?? 0
  }

  /** Whether the link of this index is one of the bridges. */
  owns(index: number | undefined): boolean {
    return index !== undefined && [...this.#indices.values()].includes(index)
  }

  async ensureDefault(): Promise<NetworkRecord> {
    const known = this.#options.records.get(defaultNetwork)
    if (known) return known
    const subnet = splitPool(this.#options.pool).first
    for (const { to } of await this.#options.links.routes()) {
      if (!overlaps(to, subnet) && !overlaps(to, this.#options.services)) continue
      throw new BerthError(
        'CONFIGURATION',
        `Cannot use ${formatSubnet(this.#options.pool)} and ${formatSubnet(this.#options.services)} for containers and services: this host has a route to ${formatSubnet(to)}`,
        {
          hint: 'set network.subnet and network.serviceSubnet in the configuration to ranges that are free here',
        },
      )
    }
    return this.#make(defaultNetwork, { id: newId(), subnet, bridge: this.#options.suffixed('berth0') })
  }

  async create(name: string, settings: NetworkSettings): Promise<NetworkRecord> {
    if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) {
      throw new BerthError(
        'INVALID',
        `Cannot create network ${JSON.stringify(name)}: a name has letters, digits, "_", "." and "-" only`,
      )
    }
    if (this.#options.records.get(name) || ['host', 'none', 'default', 'container'].includes(name)) {
      throw new BerthError('ALREADY_EXISTS', `Cannot create network "${name}": the name is taken`)
    }
    const subnet = planSubnet({
      ...(settings.subnet === undefined ? {} : { asked: parseSubnet(settings.subnet) }),
      ...(settings.gateway === undefined ? {} : { gateway: parseIpv4(settings.gateway) }),
      pool: this.#options.pool,
      services: this.#options.services,
      networks: this.list().map((record) => ({ name: record.name, subnet: parseSubnet(record.subnet) })),
      routes: (await this.#options.links.routes()).map(({ to }) => to),
    })
    const id = newId()
    return this.#make(name, { id, subnet, bridge: this.#options.suffixed(`bn${id.slice(0, 6)}`), settings })
  }

  /** Takes bridge and record away. */
  async remove(record: NetworkRecord): Promise<void> {
    await this.#options.links.remove(record.bridge)
    this.#indices.delete(record.name)
    await this.#options.records.write({ remove: [record.name] })
  }

  /** Makes what is missing of all bridges, and removes those of this instance that have no record. */
  async restore(): Promise<void> {
    const known = new Set(this.list().map((record) => record.bridge))
    for (const link of await this.#options.links.list()) {
      if (link.kind !== 'bridge' || link.alias !== this.#alias || known.has(link.name)) continue
      await this.#options.links.remove(link.name)
    }
    for (const record of this.list()) await this.#ensure(record)
  }

  /** Takes all bridges away; records stay. */
  async clear(): Promise<void> {
    for (const record of this.list()) await this.#options.links.remove(record.bridge)
    await this.#options.links.removeRoute(this.#options.services)
    this.#indices.clear()
  }

  async #make(
    name: string,
    network: { id: string; subnet: Subnet; bridge: string; settings?: NetworkSettings },
  ): Promise<NetworkRecord> {
    const { settings = {} } = network
    const record: NetworkRecord = {
      id: network.id,
      name,
      bridge: network.bridge,
      subnet: formatSubnet(network.subnet),
      gateway: settings.gateway ?? formatIpv4(network.subnet.base + 1),
      internal: settings.internal ?? false,
      labels: settings.labels ?? {},
      created: this.#options.now(),
    }
    await this.#options.records.write({ put: { [name]: record } })
    try {
      await this.#ensure(record)
    } catch (error) {
      await this.remove(record)
      throw error
    }
    return record
  }

  async #ensure(record: NetworkRecord): Promise<void> {
    const { links, services } = this.#options
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
    this.#indices.set(record.name, await links.ensureBridge(bridge))
    if (record.name === defaultNetwork) await links.ensureRoute(services, address)
  }

  get #alias(): string {
    return this.#options.suffixed('berth network')
  }
}
