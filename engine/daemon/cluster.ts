import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EventRecorder } from '../api/control/events.ts'
import { runControllers } from '../api/control/run.ts'
import { storeView } from '../api/control/view.ts'
import { removeObject } from '../api/deletion.ts'
import type { KubernetesApi } from '../api/http.ts'
import { ensureNamespaces } from '../api/namespaces.ts'
import { isBerthError, messageOf } from '../base/error.ts'
import type { Clock } from '../base/host/clock.ts'
import type { Log } from '../base/host/log.ts'
import { inProcessTransport } from '../client/in-process-transport.ts'
import { KubernetesClient } from '../client/kubernetes-client.ts'
import { removeCgroups } from '../container/host/cgroups.ts'
import type { Containers } from '../container/host/containers.ts'
import type { Engine } from '../container/host/engine.ts'
import type { Sandboxes } from '../container/host/sandboxes.ts'
import { controllers } from '../control/controllers.ts'
import type { View } from '../control/view.ts'
import type { Networks } from '../network/host/networks.ts'
import { PodVolumes } from '../node/host/pod-volumes.ts'
import { Pods } from '../node/host/pods.ts'
import { ServiceProxy } from '../node/host/service-proxy.ts'
import { VolumeCollector } from '../node/host/volume-collector.ts'
import { type MachineFacts, nodeObject } from '../node/node-object.ts'
import type { ImageEngine, PodReporter } from '../node/ports.ts'
import { kindNamed } from '../object/kinds.ts'
import type { KubeObject } from '../object/meta.ts'
import type { Pod } from '../object/types.generated.ts'
import { serveReleases } from '../release/host/serve.ts'
import type { Relay } from '../runtime/host/relay.ts'
import { cgroupFolders } from '../runtime/oci/cgroups.ts'
import type { ObjectStore } from '../store/objects.ts'
import { newPorts } from './chart-ports.ts'
import type { Config } from './config.ts'
import { openTokens } from './tokens.ts'

export interface ClusterParts {
  readonly config: Config
  readonly objects: ObjectStore
  readonly kubernetes: KubernetesApi
  readonly engine: Engine
  readonly containers: Containers
  readonly sandboxes: Sandboxes
  readonly images: ImageEngine
  readonly networks: Networks
  readonly relay: Relay
  readonly facts: MachineFacts
  readonly log: Log
  readonly clock: Clock
  /** Size of a container's log file, and how many are kept. */
  readonly logFiles: { readonly maxSizeBytes: number; readonly maxFiles: number }
  /** Controllers cannot go on. */
  readonly onFatal: (error: Error) => void
}

/**
 * Objects come to life: the Node, what is left of pods that are gone, then controllers, the node's part (pods, services)
 * and releases, all fed by the store's changes. Disposal ends the deciding; what runs goes on.
 */
export async function openCluster(parts: ClusterParts): Promise<AsyncDisposable> {
  const { config, objects, kubernetes, networks, facts, log, clock } = parts
  const abort = new AbortController()
  const { signal } = abort
  await using stack = new AsyncDisposableStack()
  await ensureNamespaces(objects, kubernetes.writes)
  await reportNode(parts)
  const view = storeView(objects)
  const events = new EventRecorder({ objects, clock, log })
  const pods = stack.use(await openPods(parts, { view, events, signal }))
  const services = stack.use(
    new ServiceProxy({
      view: {
        services: () => view.list('Service'),
        slices: () => view.list('EndpointSlice'),
        pods: () => view.list('Pod'),
      },
      network: networks,
      names: networks.names,
      log,
      signal,
    }),
  )
  const collector = stack.use(
    new VolumeCollector({
      volumes: parts.engine.volumes,
      view: { volume: (name) => view.get('PersistentVolume', '', name) },
      release: async (volume) => {
        const request = { kind: kindNamed('PersistentVolume'), namespace: '', manager: 'kubelet' }
        await kubernetes.writes.update(volume.metadata.name ?? '', volume, request)
      },
      log,
      signal,
    }),
  )
  await pods.recover()
  // Who asks for a name after this finds every service: an answer "no such name" would be believed.
  services.notice({ kind: 'Service' })
  await services.settled()
  const fatal = (error: unknown) => {
    if (!signal.aborted) parts.onFatal(error instanceof Error ? error : new Error(messageOf(error)))
  }
  const feeding = feed(objects, signal, (object) => {
    pods.notice(object)
    services.notice(object)
    collector.notice(object)
  }).catch(fatal)
  const controlling = runControllers(
    { objects, writes: kubernetes.writes, controllers, clock, log },
    signal,
  ).catch(fatal)
  stack.use(
    serveReleases({
      client: new KubernetesClient(inProcessTransport(kubernetes.serve)),
      clock,
      log,
      check: (rendered, before) => networks.checkPorts(newPorts(rendered, before)),
    }),
  )
  stack.defer(async () => {
    abort.abort(new Error('The daemon ends'))
    await Promise.all([feeding, controlling])
  })
  log('info', 'the node is ready', { name: facts.name, domain: config.network.domain })
  return stack.move()
}

/** Every object that is there, then every change; again from the start after a gap. */
async function feed(
  objects: ObjectStore,
  signal: AbortSignal,
  notice: (object: KubeObject) => void,
): Promise<void> {
  while (!signal.aborted) {
    const changes = objects.watch({}, signal)
    for (const kind of objects.groupKinds()) {
      for (const object of objects.list(kind)) notice(object as KubeObject)
    }
    try {
      for await (const { object } of changes) notice(object as KubeObject)
    } catch (error) {
      if (!isBerthError(error, 'GONE')) throw error
    }
  }
}

async function reportNode({ kubernetes, objects, facts, clock }: ClusterParts): Promise<void> {
  const request = { kind: kindNamed('Node'), namespace: '', manager: 'kubelet' }
  const present = () => storeView(objects).get('Node', '', facts.name)
  if (!present()) await kubernetes.writes.create(nodeObject(facts, undefined, clock.now()), request)
  const node = nodeObject(facts, present(), clock.now())
  await kubernetes.writes.update(facts.name, node, { ...request, subresource: 'status' })
}

interface PodsContext {
  readonly view: View
  readonly events: EventRecorder
  readonly signal: AbortSignal
}

async function openPods(parts: ClusterParts, { view, events, signal }: PodsContext): Promise<Pods> {
  const { config, engine, containers, sandboxes, images, networks, relay, facts, log, clock } = parts
  const volumes = new PodVolumes({
    folder: join(config.root, 'pods'),
    volumes: { ensure: (name) => engine.volumes.ensure(name, { anonymous: false }) },
    mounter: {
      mountTmpfs: (target, { sizeBytes }) =>
        relay.mount({
          source: 'tmpfs',
          target,
          type: 'tmpfs',
          options: sizeBytes === undefined ? 'mode=1777' : `mode=1777,size=${sizeBytes}`,
        }),
      unmount: (target) => relay.unmount(target),
    },
    tokens: await openTokens(join(config.root, 'api/service-account.pem'), clock),
  })
  return new Pods({
    engine: containers,
    sandboxes,
    cgroups: { remove: (uid) => removeCgroups(cgroupFolders(engine.cgroups, uid)) },
    images,
    volumes,
    reporter: podReporter(parts, events),
    clock,
    settings: {
      nodeName: facts.name,
      domain: config.network.domain,
      dnsAddress: networks.dnsAddress,
      hostSearch: await hostSearch(),
      log: parts.logFiles,
    },
    logs: join(config.root, 'logs'),
    view: {
      pods: () => view.list('Pod'),
      pod: (namespace, name) => view.get('Pod', namespace, name),
      configMap: (namespace, name) => view.get('ConfigMap', namespace, name),
      secret: (namespace, name) => view.get('Secret', namespace, name),
      services: (namespace) => view.list('Service', namespace),
      workloads: (namespace, name) =>
        [view.get('Deployment', namespace, name), view.get('StatefulSet', namespace, name)].filter(
          (one) => one !== undefined,
        ),
    },
    facts,
    log,
    signal,
  })
}

function podReporter({ objects, kubernetes }: ClusterParts, events: EventRecorder): PodReporter {
  const request = (pod: Pod) => ({
    kind: kindNamed('Pod'),
    namespace: pod.metadata.namespace ?? '',
    manager: 'kubelet',
  })
  return {
    report: async (pod, status) => {
      const { name = '' } = pod.metadata
      await kubernetes.writes.update(name, { ...pod, status }, { ...request(pod), subresource: 'status' })
    },
    finish: async ({ metadata: { namespace = '', name = '', uid = '' } }) => {
      const present = objects.get({ groupKind: 'Pod', namespace, name })
      if (present?.metadata.uid !== uid) return
      await removeObject(objects, present, { gracePeriodSeconds: 0, preconditions: { uid } })
    },
    record: ({ apiVersion = 'v1', kind = 'Pod', metadata }, event) => {
      const about = { apiVersion, kind, metadata, ...(event.fieldPath && { fieldPath: event.fieldPath }) }
      void events.record({
        about,
        type: event.type,
        reason: event.reason,
        message: event.message,
        source: 'kubelet',
      })
    },
  }
}

/** The `search` domains of the host's resolv.conf. */
async function hostSearch(): Promise<readonly string[]> {
  const text = await readFile('/etc/resolv.conf', 'utf8').catch(() => '')
  return [...text.matchAll(/^\s*search\s+(.+)$/gm)].flatMap(([, names = '']) => names.trim().split(/\s+/))
}
