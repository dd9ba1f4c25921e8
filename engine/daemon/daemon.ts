import { rm, rmdir } from 'node:fs/promises'
import type { IncomingMessage, Server } from 'node:http'
import { join } from 'node:path'
import { DockerApi } from '../api/docker/server.ts'
import { createKubernetesApi, type KubernetesApi } from '../api/http.ts'
import { systemClock } from '../base/host/clock.ts'
import { ensureFolder } from '../base/host/files.ts'
import type { Log } from '../base/host/log.ts'
import type { ContainerRecord } from '../container/container.ts'
import { Containers } from '../container/host/containers.ts'
import type { Engine } from '../container/host/engine.ts'
import { observeMachine } from '../container/host/machine.ts'
import { Sandboxes, type SandboxRecord } from '../container/host/sandboxes.ts'
import { Images } from '../image/host/images.ts'
import type { LayerRecord } from '../image/host/layers.ts'
import type { ImageRecord } from '../image/image.ts'
import { serveDns } from '../network/host/dns.ts'
import { Networks } from '../network/host/networks.ts'
import { resolvConf } from '../network/host/upstream.ts'
import type { Lease, NetworkRecord } from '../network/types.ts'
import { kinds } from '../object/kinds.ts'
import { Keeper } from '../runtime/host/keeper.ts'
import { launcherFile } from '../runtime/host/launcher.ts'
import { Relay } from '../runtime/host/relay.ts'
import { Store } from '../store/store.ts'
import { Volumes } from '../volume/host/volumes.ts'
import type { VolumeRecord } from '../volume/volume.ts'
import { openCluster } from './cluster.ts'
import type { Config } from './config.ts'
import { dockerImages } from './image-source.ts'
import { readInstance } from './instance.ts'
import { keeperSettingsFile } from './keeper.ts'
import { answerKubeconfig, kubeconfigPath } from './kubeconfig.ts'
import { launcherOf, portHolder } from './launcher.ts'
import { type Changes, changesOf, LiveSettings } from './live-settings.ts'
import { machineFacts, version } from './machine-facts.ts'
import { dockerNetworks } from './network-source.ts'
import { nodeFacts } from './node-facts.ts'
import { OwnRegistry } from './own-registry.ts'
import { podAccess } from './pod-access.ts'
import { checkPorts } from './port-owner.ts'
import { closeServer, listen, socketGroup } from './sockets.ts'
import { TcpApi } from './tcp-api.ts'

export interface DaemonOptions {
  readonly config: Config
  readonly log: Log
  /** The keeper's descriptors by name; empty: the daemon opens its sockets itself. */
  readonly descriptors: ReadonlyMap<string, number>
  /** `keeper.sock`, when a keeper started this process. */
  readonly keeperSocket?: string
  readonly signal: AbortSignal
  /** The daemon has to end: a commit failed, or the keeper is gone. */
  readonly onFatal: (error: Error) => void
}

interface DaemonParts {
  readonly config: Config
  readonly containers: Containers
  readonly live: LiveSettings
  readonly registry: OwnRegistry
}

/** Requests at work get this long when the daemon ends, then they are cut: followed logs and waits never end by themselves. */
const closeGraceMs = 1000

/**
 * Everything joined. Order of start: what is recorded (store), what the kernel is asked through (relay), networks,
 * images, volumes, containers (found again, restart policies hold), objects (pods, services), then names and the
 * sockets, where questions have waited in the kernel's queues. It ends in the reverse order;
 * containers go on.
 */
export class Daemon implements AsyncDisposable {
  readonly containers: Containers
  readonly #parts: DaemonParts
  readonly #stack: AsyncDisposableStack
  #config: Config

  private constructor(parts: DaemonParts, stack: AsyncDisposableStack) {
    this.containers = parts.containers
    this.#config = parts.config
    this.#parts = parts
    this.#stack = stack
  }

  static async open(options: DaemonOptions): Promise<Daemon> {
    const { config, log, signal } = options
    await using stack = new AsyncDisposableStack()
    await ensureFolder(config.root, 0o700)
    await ensureFolder(config.run, 0o755)
    for (const name of ['s', 'ns']) await ensureFolder(join(config.run, name), 0o700)
    await rm(join(config.run, keeperSettingsFile), { force: true })
    const instance = await readInstance(config.root)
    const live = await LiveSettings.open(config)
    const keeper = options.keeperSocket
      ? stack.use(await Keeper.open(options.keeperSocket, signal))
      : undefined
    keeper?.closed.then(() => {
      if (!signal.aborted) options.onFatal(new Error('The keeper is gone'))
    })
    const store = stack.use(
      await Store.open({ folder: join(config.root, 'db'), log, onFatal: options.onFatal }),
    )
    const launcher = launcherFile()
    const relay = stack.use(await Relay.open({ launcher, log }))
    const networks = stack.use(
      await Networks.open({
        relay,
        records: store.collection<NetworkRecord>('networks'),
        leases: store.collection<Lease>('leases'),
        instance,
        ...config.network,
        log,
        ...(keeper && { holder: portHolder(keeper) }),
      }),
    )
    await networks.ensureDefault()
    const records = store.collection<ContainerRecord>('containers')
    const all = () => [...records.entries()].map(([, record]) => record)
    const images = stack.use(
      await Images.open({
        root: config.root,
        images: store.collection<ImageRecord>('images'),
        layers: store.collection<LayerRecord>('layers'),
        launcher,
        hosts: live.hosts,
        users: (imageId) =>
          all()
            .filter((c) => c.imageId === imageId)
            .map((c) => ({ id: c.id, running: c.state.status === 'running' })),
      }),
    )
    const volumes = await Volumes.open({
      folder: join(config.root, 'volumes'),
      records: store.collection<VolumeRecord>('volumes'),
      clock: systemClock,
      log,
      // One that is being made or removed does not hold its volumes: it takes its own away itself.
      usersOf: (name) =>
        all()
          .filter((c) => c.state.status !== 'removing' && c.progress.step !== 'making')
          .filter((c) => c.mounts.some((mount) => mount.name === name))
          .map((c) => c.id),
    })
    const { kernel, cgroups } = await observeMachine(instance)
    const engine: Engine = {
      root: config.root,
      run: config.run,
      records,
      images,
      volumes,
      networks,
      namespaces: relay,
      overlays: relay,
      launcher: launcherOf(keeper),
      clock: systemClock,
      log,
      kernel,
      cgroups,
    }
    const sandboxes = await Sandboxes.open(engine, store.collection<SandboxRecord>('sandboxes'))
    // With the last container goes the last trace: kept while one runs in it (EBUSY).
    stack.defer(async () => {
      for (const { mount } of cgroups.hierarchies)
        await rmdir(join(mount, cgroups.parent)).catch(() => undefined)
    })
    const containers = stack.use(await Containers.open(engine, { sandboxes }))
    const facts = await machineFacts({ config, instance, cgroupVersion: cgroups.version })
    const docker = new DockerApi(
      {
        life: containers,
        views: containers,
        streams: containers,
        images: dockerImages(images),
        networks: dockerNetworks(networks, containers),
        volumes,
        facts,
        logs: live.logs,
        checkPorts: (ports) => checkPorts(ports, containers.list()),
      },
      log,
    )
    const kubernetes = createKubernetesApi({
      objects: store.objects,
      kinds,
      clock: systemClock,
      log,
      serviceSubnet: config.network.serviceSubnet,
      version,
      pods: podAccess(containers),
    })
    stack.use(
      await openCluster({
        config,
        objects: store.objects,
        kubernetes,
        engine,
        containers,
        sandboxes,
        images,
        networks,
        relay,
        facts: await nodeFacts(config.root, networks.dnsAddress),
        log,
        clock: systemClock,
        logFiles: live.logs,
        onFatal: options.onFatal,
      }),
    )
    const dnsAt = (name: string) => {
      const fd = options.descriptors.get(name)
      return fd === undefined ? { address: networks.dnsAddress, port: 53 } : { fd }
    }
    stack.use(
      await serveDns({
        udp: dnsAt('dns-udp'),
        tcp: dnsAt('dns-tcp'),
        names: networks.names,
        local: [config.network.subnet, config.network.serviceSubnet],
        upstream: resolvConf('/etc/resolv.conf', [networks.dnsAddress]),
        log,
      }),
    )
    const tcp = stack.use(
      await TcpApi.open({
        ...options,
        folder: join(config.root, 'api'),
        name: instance === '' ? 'berth' : `berth-${instance}`,
        keeper,
        api: kubernetes,
        clock: systemClock,
      }),
    )
    const servers = await openSockets(options, { docker, kubernetes, tcp })
    stack.defer(async () => {
      await Promise.all(servers.map((server) => closeServer(server, closeGraceMs)))
    })
    const registry = stack.use(new OwnRegistry(config.root, log))
    await registry.take(config)
    return new Daemon({ config, containers, live, registry }, stack.move())
  }

  /**
   * Takes over what a running daemon can of a changed configuration; what differs otherwise is told each time, until the
   * next start. Throws CONFIGURATION, and nothing has changed.
   */
  async reconfigure(config: Config): Promise<Changes> {
    const changes = changesOf(this.#config, config)
    await this.#parts.live.take(config)
    await this.#parts.registry.take(config)
    this.#config = {
      ...this.#config,
      ...Object.fromEntries(changes.now.map((key) => [key, config[key]])),
    }
    return changes
  }

  /** Stops taking requests, ends what is at work, closes the store. Containers go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }
}

interface Apis {
  readonly docker: DockerApi
  readonly kubernetes: KubernetesApi
  readonly tcp: TcpApi
}

/** `berth.sock` speaks both APIs, docker's under `/vN.NN/`, and gives kubeconfigs; `docker.sock` speaks docker's alone. */
async function openSockets(
  { config, descriptors }: DaemonOptions,
  { docker, kubernetes, tcp }: Apis,
): Promise<Server[]> {
  const group = await socketGroup(config.group)
  const at = (name: string, file: string) => {
    const fd = descriptors.get(name)
    if (fd !== undefined) return { fd }
    return { path: join(config.run, file), ...(group !== undefined && { group }) }
  }
  const owner = ({ url = '' }: IncomingMessage) => (DockerApi.owns(url) ? docker : kubernetes)
  return [
    await listen({
      at: at('api', 'berth.sock'),
      handle: (request, response) => {
        if (request.url === kubeconfigPath) void answerKubeconfig(tcp, request, response)
        else owner(request).handle(request, response)
      },
      upgrade: (request, socket, head) => owner(request).upgrade(request, socket, head),
    }),
    await listen({
      at: at('docker', 'docker.sock'),
      handle: (request, response) => docker.handle(request, response),
      upgrade: (request, socket, head) => docker.upgrade(request, socket, head),
    }),
  ]
}
