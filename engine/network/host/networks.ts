import { BerthError, isBerthError } from '../../base/error.ts'
import type { Log } from '../../base/host/log.ts'
import type { Collection } from '../../store/collection.ts'
import { formatIpv4, parseIpv4, parseSubnet } from '../address.ts'
import { NameTable } from '../names.ts'
import { type HostPort, planPorts, portsMeet, portTarget } from '../ports.ts'
import type { Endpoint, Lease, NetworkRecord, PublishedPort, ServiceAddress } from '../types.ts'
import { Bridges, defaultNetwork, type NetworkSettings } from './bridges.ts'
import { Connections } from './connections.ts'
import { type AttachOptions, Endpoints } from './endpoints.ts'
import { Firewall } from './firewall.ts'
import type { Kernel } from './kernel.ts'
import { Links } from './links.ts'
import { HostPorts, type PortHolder } from './ports.ts'

export interface NetworksOptions {
  readonly relay: Kernel
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
}

/** A port of the host that a service has, and which. */
type ServicePort = HostPort & { readonly service: string | undefined }

/**
 * Networks, addresses and the firewall of this host. What is recorded is restored by `open`; what is there without a
 * record is removed by `open` (bridges) and `reconcile` (links). Invariants: an address has at most one lease; the
 * firewall says what records, leases and services say as soon as a call has settled.
 */
export class Networks implements AsyncDisposable {
  readonly names: NameTable
  /** At which containers find DNS: the first address of the default network. */
  readonly dnsAddress: string
  readonly #relay: Kernel
  readonly #bridges: Bridges
  readonly #endpoints: Endpoints
  readonly #firewall: Firewall
  readonly #ports: HostPorts
  readonly #connections: Connections
  /** Of services. */
  #servicePorts: readonly ServicePort[] = []

  private constructor(options: NetworksOptions) {
    const { relay, records, leases, log } = options
    const suffixed = (name: string) => (options.instance === '' ? name : `${name}-${options.instance}`)
    const pool = parseSubnet(options.subnet)
    const services = parseSubnet(options.serviceSubnet)
    const links = new Links(relay)
    const connections = new Connections(relay, log)
    this.#connections = connections
    this.#relay = relay
    this.names = new NameTable(options.domain)
    this.dnsAddress = formatIpv4(pool.base + 1)
    this.#bridges = new Bridges({ links, records, pool, services, suffixed, now: Date.now })
    this.#ports = new HostPorts({
      ...options,
      serviceOf: (port) => this.#servicePorts.find((other) => portsMeet(port, other))?.service,
    })
    this.#endpoints = new Endpoints({
      links,
      bridges: this.#bridges,
      leases,
      names: this.names,
      dnsAddress: this.dnsAddress,
      log,
      apply: () => this.#firewall.apply(),
      closed: async (lease) => {
        void connections.forgetAddress(lease.address)
        await this.#ports.release(lease.ports)
      },
    })
    this.#firewall = new Firewall({
      relay,
      connections,
      name: suffixed('berth'),
      services,
      dnsAddress: parseIpv4(this.dnsAddress),
      log,
      policy: () => ({
        bridges: this.#bridges.list().map(({ bridge, internal }) => ({ name: bridge, internal })),
        addresses: this.#endpoints.list().map(({ address, network }) => ({
          address,
          internal: records.get(network)?.internal ?? false,
        })),
        targets: this.#endpoints.list().flatMap(({ ports }) => ports.map(portTarget)),
      }),
    })
  }

  /** Opens, and restores what is recorded: bridges, table, accept rules; services stay as they are until told. */
  static async open(options: NetworksOptions): Promise<Networks> {
    const networks = new Networks(options)
    await networks.#restore()
    return networks
  }

  /** The network of everything that names none; made when missing. */
  async ensureDefault(): Promise<NetworkRecord> {
    const record = await this.#bridges.ensureDefault()
    await this.#firewall.applyBridges()
    return record
  }

  /** Throws ALREADY_EXISTS, or CONFLICT for a subnet that overlaps another or a route of the host. */
  async create(name: string, settings: NetworkSettings = {}): Promise<NetworkRecord> {
    const record = await this.#bridges.create(name, settings)
    await this.#firewall.applyBridges()
    return record
  }

  /** Refuses a network that has endpoints, and the default one (CONFLICT). Idempotent. */
  async remove(nameOrId: string): Promise<void> {
    if (this.resolve(nameOrId) === undefined) return
    const { record, endpoints } = this.inspect(nameOrId)
    if (endpoints.length > 0 || record.name === defaultNetwork) {
      const reason =
        endpoints.length > 0 ? `${endpoints.length} containers are on it` : 'it is the default network'
      throw new BerthError('CONFLICT', `Cannot remove network "${record.name}": ${reason}`, {
        details: { sandboxes: endpoints.map((lease) => lease.sandboxId) },
      })
    }
    await this.#bridges.remove(record)
    await this.#firewall.applyBridges()
  }

  list(): NetworkRecord[] {
    return this.#bridges.list()
  }

  /** The name of a network by name, id or unique start of an id; nothing when there is none. */
  resolve(nameOrId: string): string | undefined {
    return this.#bridges.resolve(nameOrId)
  }

  /** A network with who is on it, and by which link of its bridge. Throws NOT_FOUND. */
  inspect(nameOrId: string): { record: NetworkRecord; endpoints: readonly Lease[] } {
    const record = this.#bridges.get(nameOrId)
    return { record, endpoints: this.#endpoints.on(record.name) }
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
  attach(nameOrId: string, options: AttachOptions): Promise<Endpoint> {
    return this.#endpoints.attach(this.#bridges.get(nameOrId), options)
  }

  /** Gives the address back and closes the ports. The link goes in the background (`settled`). Idempotent. */
  detach(endpointId: string): Promise<void> {
    return this.#endpoints.detach(endpointId)
  }

  /**
   * Throws CONFLICT, naming container or process, for the first of these ports that another has: for a refusal before
   * anything is pulled or made. Nothing is taken.
   */
  checkPorts(ports: readonly HostPort[]): Promise<void> {
    return this.#ports.check(ports)
  }

  /**
   * Opens ports of a sandbox's endpoints; port 0 draws a free one. Gives them as bound. Replaces those of before.
   * A port that is taken is CONFLICT.
   */
  async publish(sandboxId: string, ports: readonly PublishedPort[]): Promise<readonly PublishedPort[]> {
    const mine = this.#endpoints.of(sandboxId)
    const stray = ports.find((port) => !mine.some((lease) => lease.address === port.address))
    if (stray) {
      throw new BerthError(
        'INVALID',
        `Cannot publish port ${stray.containerPort}: ${stray.address} is no address of the sandbox`,
      )
    }
    const plan = planPorts(
      mine.flatMap((lease) => lease.ports),
      ports,
    )
    const fresh: PublishedPort[] = []
    const bound: PublishedPort[] = []
    try {
      for (const port of ports) {
        const kept = plan.keep.get(port)
        const claimed = kept ?? (await this.#ports.claim(port))
        if (!kept) fresh.push(claimed)
        bound.push(claimed)
      }
    } catch (error) {
      await this.#ports.release(fresh)
      throw error
    }
    await this.#ports.release(plan.gone)
    await Promise.all([this.#endpoints.setPorts(sandboxId, bound), this.#firewall.apply()])
    return bound
  }

  /** Idempotent. */
  async unpublish(sandboxId: string): Promise<void> {
    await this.publish(sandboxId, [])
  }

  /**
   * All ports of all services there are; replaces those of before. Connections to removed endpoints go on. Gives the
   * ports of the host that could not be taken, for another has them; those services are reached by address only.
   */
  async setServices(
    services: readonly ServiceAddress[],
  ): Promise<readonly { readonly port: HostPort; readonly error: Error }[]> {
    const refused: { port: HostPort; error: Error }[] = []
    const wanted = services.flatMap(({ name: service, hostPort, protocol }): ServicePort[] =>
      hostPort === undefined ? [] : [{ hostIp: '', hostPort, protocol, service }],
    )
    const gone = this.#servicePorts.filter((port) => !wanted.some((other) => portsMeet(port, other)))
    const held = this.#servicePorts
      .filter((port) => !gone.includes(port))
      .map((port) => {
        // Another service may have come to the port in the same turn.
        const sharing = wanted.filter((other) => portsMeet(port, other))
        return sharing.find(({ service }) => service === port.service) ?? sharing[0] ?? port
      })
    await this.#ports.release(gone)
    for (const port of wanted) {
      if (held.some((other) => portsMeet(port, other))) continue
      try {
        held.push(await this.#ports.claim(port))
      } catch (error) {
        if (!isBerthError(error)) throw error
        refused.push({ port, error })
      }
    }
    this.#servicePorts = held
    await this.#firewall.setServices(
      services.map(({ name: _, hostPort, ...service }) => {
        const own = held.some((port) => port.hostPort === hostPort && port.protocol === service.protocol)
        return own && hostPort !== undefined ? { ...service, hostPort } : service
      }),
    )
    return refused
  }

  /**
   * Removes endpoints of sandboxes that do not live and links that nobody knows, and makes what is missing for those
   * that do.
   */
  async reconcile(livingSandboxIds: ReadonlySet<string>): Promise<void> {
    await this.#endpoints.reconcile(livingSandboxIds)
    await this.#firewall.applyBridges()
  }

  /** Settles when links that are going have gone, and connections to what has gone are forgotten. */
  async settled(): Promise<void> {
    await Promise.all([this.#endpoints.settled(), this.#connections.settled()])
  }

  /** Stops watching. With `remove`, takes links, bridges, table and accept rules away; records and leases stay. */
  async close(options: { remove?: boolean } = {}): Promise<void> {
    await this.#endpoints.settled()
    await this.#firewall.close(options)
    if (!options.remove) return
    await this.#endpoints.clear()
    await this.#bridges.clear()
    await this.#ports.release([
      ...this.#endpoints.list().flatMap((lease) => lease.ports),
      ...this.#servicePorts,
    ])
  }

  /** Closes; when no endpoint is left, nothing of berth stays on the host: `open` makes it again. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close({ remove: this.#endpoints.list().length === 0 })
  }

  async #restore(): Promise<void> {
    await this.#relay.sysctl('net.ipv4.ip_forward', '1')
    await this.#bridges.restore()
    this.#endpoints.restore()
    await this.#ports.restore(this.#endpoints.list().flatMap((lease) => lease.ports))
    await this.#firewall.open()
  }
}
