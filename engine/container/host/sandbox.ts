import { access } from 'node:fs/promises'
import { messageOf } from '../../base/error.ts'
import type { EndpointRecord, NetworkSetting, PortSetting } from '../container.ts'
import type { PublishedPort } from '../ports.ts'
import { type Engine, placesOf } from './engine.ts'

type SandboxEngine = Pick<Engine, 'root' | 'run' | 'namespaces' | 'networks' | 'clock' | 'log'>

/** What a sandbox is asked to be: the namespaces and addresses that its containers share. */
export interface SandboxSettings {
  /** 64 hex digits; a container of docker's has the one of its own id. */
  readonly id: string
  readonly hostname: string
  /** Kinds that it has of its own; `pid` in a pod's: one that its containers share. */
  readonly own: readonly ('net' | 'ipc' | 'uts' | 'pid')[]
  readonly networks: readonly NetworkSetting[]
  readonly ports: readonly PortSetting[]
  readonly sysctls: Readonly<Record<string, string>>
  /** Its containers have one /dev/shm. */
  readonly sharedMemory?: boolean
  /** Folder of the cgroup below berth's own that its first process is counted in. */
  readonly cgroupParent?: string
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
  // A PID namespace dies with its first process: it is not made by pinning.
  const pinned = own.filter((kind) => kind !== 'pid')
  if (pinned.length === 0) return
  const pins = Object.fromEntries(pinned.map((kind) => [kind, places.namespace(kind)]))
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
