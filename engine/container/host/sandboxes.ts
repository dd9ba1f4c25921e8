import { access } from 'node:fs/promises'
import { BerthError, messageOf } from '../../base/error.ts'
import type { Collection } from '../../store/collection.ts'
import type { EndpointRecord, NetworkSetting, PortSetting } from '../container.ts'
import type { PublishedPort } from '../ports.ts'
import { type Engine, placesOf } from './engine.ts'

type SandboxEngine = Pick<Engine, 'root' | 'run' | 'namespaces' | 'networks' | 'clock' | 'log'>

/** What a sandbox is asked to be: the namespaces and addresses that its containers share. */
export interface SandboxSettings {
  /** 64 hex digits; a container of docker's has the one of its own id. */
  readonly id: string
  readonly hostname: string
  /** Kinds that it has of its own. */
  readonly own: readonly ('net' | 'ipc' | 'uts')[]
  readonly networks: readonly NetworkSetting[]
  readonly ports: readonly PortSetting[]
  readonly sysctls: Readonly<Record<string, string>>
}

export interface OpenedSandbox {
  readonly networks: Readonly<Record<string, EndpointRecord>>
  readonly ports: readonly PortSetting[]
}

/**
 * Pins the namespaces, attaches the networks (eth0, eth1…) and opens the ports. After a failure nothing of it is
 * left. Remains of a sandbox of the same id, which a crash left, are removed first.
 */
export async function openSandbox(engine: SandboxEngine, settings: SandboxSettings): Promise<OpenedSandbox> {
  await pinSandbox(engine, settings)
  return joinSandbox(engine, settings)
}

/** The first half: only the namespaces, all of them or none. */
export async function pinSandbox(engine: SandboxEngine, settings: SandboxSettings): Promise<void> {
  const { id, hostname, own } = settings
  const places = placesOf(engine, id)
  await unpinAll(engine, id)
  if (own.length === 0) return
  const pins = Object.fromEntries(own.map((kind) => [kind, places.namespace(kind)]))
  await engine.namespaces.pinNamespaces(pins, {
    ...(own.includes('uts') && { hostname }),
    sysctls: settings.sysctls,
  })
}

/** The second half: networks and ports of pinned namespaces. After a failure nothing of the sandbox is left. */
export async function joinSandbox(engine: SandboxEngine, settings: SandboxSettings): Promise<OpenedSandbox> {
  const { id, hostname } = settings
  const networks: Record<string, EndpointRecord> = {}
  try {
    for (const network of settings.networks) {
      networks[network.name] = await joinNetwork(engine, { id, hostname, network, joined: networks })
    }
    return { networks, ports: await publish(engine, settings, networks) }
  } catch (error) {
    await closeSandbox(engine, id, Object.values(networks))
    throw error
  }
}

/** Attaches one more network, as the first free ethN. */
export async function joinNetwork(
  engine: SandboxEngine,
  join: {
    readonly id: string
    readonly hostname: string
    readonly network: NetworkSetting
    readonly joined: Readonly<Record<string, EndpointRecord>>
  },
): Promise<EndpointRecord> {
  const { name, aliases, address } = join.network
  const taken = new Set(Object.values(join.joined).map((endpoint) => endpoint.interfaceName))
  let index = 0
  while (taken.has(`eth${index}`)) index++
  const interfaceName = `eth${index}`
  const endpoint = await engine.networks.attach(name, {
    sandboxId: join.id,
    netns: placesOf(engine, join.id).namespace('net'),
    interfaceName,
    hostname: join.hostname,
    aliases,
    ...(address && { address }),
  })
  return { ...endpoint, interfaceName, aliases }
}

async function publish(
  engine: SandboxEngine,
  settings: SandboxSettings,
  networks: Readonly<Record<string, EndpointRecord>>,
): Promise<readonly PortSetting[]> {
  const address = Object.values(networks)[0]?.address
  if (settings.ports.length === 0 || !address) return []
  const wanted: PublishedPort[] = settings.ports.map((port) => ({ ...port, address }))
  const bound = await engine.networks.publish(settings.id, wanted)
  return bound.map(({ hostIp, hostPort, containerPort, protocol }) => ({
    hostIp,
    hostPort,
    containerPort,
    protocol,
  }))
}

/**
 * Gives addresses and their ports back and lets go of the namespaces. Everything is tried; what fails is logged and
 * found again by the next start. Idempotent.
 */
export async function closeSandbox(
  engine: SandboxEngine,
  id: string,
  endpoints: readonly EndpointRecord[],
): Promise<void> {
  const results = await Promise.allSettled([
    ...endpoints.map(({ endpointId }) => engine.networks.detach(endpointId)),
    unpinAll(engine, id),
  ])
  for (const result of results) {
    if (result.status === 'rejected') {
      engine.log('warn', 'Cannot take a sandbox down whole', { id, error: messageOf(result.reason) })
    }
  }
}

async function unpinAll(engine: SandboxEngine, id: string): Promise<void> {
  const { namespace } = placesOf(engine, id)
  const unpin = async (kind: 'net' | 'ipc' | 'uts'): Promise<void> => {
    const there = await access(namespace(kind)).then(
      () => true,
      () => false,
    )
    if (there) await engine.namespaces.unpin(namespace(kind))
  }
  await Promise.all([unpin('net'), unpin('ipc'), unpin('uts')])
}

export interface SandboxRecord {
  readonly id: string
  readonly created: number
  readonly settings: SandboxSettings
  /** Absent until it is whole: a record without is removed at the next start. */
  readonly opened?: OpenedSandbox
}

/**
 * Pods' sandboxes: recorded before they are made, so that a crash leaves none unknown. They outlive the daemon and
 * the containers in them.
 */
export class Sandboxes {
  readonly #engine: SandboxEngine
  readonly #records: Collection<SandboxRecord>

  private constructor(engine: SandboxEngine, records: Collection<SandboxRecord>) {
    this.#engine = engine
    this.#records = records
  }

  /** Opens, and removes what was half made, or whose namespaces went with a restart of the machine. */
  static async open(engine: SandboxEngine, records: Collection<SandboxRecord>): Promise<Sandboxes> {
    const sandboxes = new Sandboxes(engine, records)
    for (const record of sandboxes.list()) {
      const pinned = record.settings.own.map((kind) => placesOf(engine, record.id).namespace(kind))
      const there = await Promise.all(
        pinned.map((path) =>
          access(path).then(
            () => true,
            () => false,
          ),
        ),
      )
      if (!record.opened || there.includes(false)) await sandboxes.remove(record.id)
    }
    return sandboxes
  }

  /** Makes the sandbox; one of the same id that is whole is given back as it is. */
  async create(settings: SandboxSettings): Promise<SandboxRecord> {
    const known = this.#records.get(settings.id)
    if (known?.opened) return known
    const record: SandboxRecord = { id: settings.id, created: this.#engine.clock.now(), settings }
    await this.#records.write({ put: { [settings.id]: record } })
    try {
      const opened = await openSandbox(this.#engine, settings)
      const whole = { ...record, opened }
      await this.#records.write({ put: { [settings.id]: whole } })
      return whole
    } catch (error) {
      await this.#records.write({ remove: [settings.id] })
      throw error
    }
  }

  get(id: string): SandboxRecord {
    const record = this.#records.get(id)
    if (!record) throw new BerthError('NOT_FOUND', `No such sandbox: ${id}`)
    return record
  }

  list(): SandboxRecord[] {
    return [...this.#records.entries()].map(([, record]) => record)
  }

  /** Idempotent. Its containers must have ended. */
  async remove(id: string): Promise<void> {
    const record = this.#records.get(id)
    if (!record) return
    await closeSandbox(this.#engine, id, Object.values(record.opened?.networks ?? {}))
    await this.#records.write({ remove: [id] })
  }
}
