import { isDeepStrictEqual } from 'node:util'
import { stableHash } from '../object/hash.ts'
import { controllerReference, type KubeObject } from '../object/meta.ts'
import { selectsPlain } from '../object/selector.ts'
import type * as t from '../object/types.generated.ts'
import {
  type Controller,
  type Decision,
  decide,
  deletion,
  type Key,
  keyOf,
  nothing,
  statusUpdate,
  type Write,
} from './decision.ts'
import { isFinished, isReady } from './pods.ts'
import type { View } from './view.ts'

const serviceNameLabel = 'kubernetes.io/service-name'
const managedByLabel = 'endpointslice.kubernetes.io/managed-by'
const manager = 'endpointslice-controller.k8s.io'
const headlessLabel = 'service.kubernetes.io/headless'
/** What one EndpointSlice holds at most. */
const sliceSize = 100

/** Keeps a Service's EndpointSlices as its pods are, and gives load balancers the node's address. */
export const serviceController: Controller = {
  name: 'endpoint-slice-controller',
  reconcile,
  affected(view, object): readonly Key[] {
    if (object.kind === 'Service') return [keyOf(object)]
    const namespace = object.metadata.namespace ?? ''
    if (object.kind === 'Pod') {
      const services = view.list('Service', namespace)
      const selecting = services.filter((service) =>
        selectsPlain(service.spec.selector, object.metadata.labels),
      )
      // Its labels may be others now: who has it among its endpoints must look again, too.
      const { uid } = object.metadata
      const listing = view
        .list('EndpointSlice', namespace)
        .filter((slice) => slice.endpoints.some((endpoint) => endpoint.targetRef?.uid === uid))
        .flatMap((slice) => slice.metadata.labels?.[serviceNameLabel] ?? [])
      const listed = listing.map((name): Key => ({ kind: 'Service', namespace, name }))
      return [...selecting.map(keyOf), ...listed]
    }
    const name = object.metadata.labels?.[serviceNameLabel]
    if (object.kind === 'EndpointSlice' && name) return [{ kind: 'Service', namespace, name }]
    return object.kind === 'Node' ? balanced(view) : []
  },
}

function reconcile(view: View, key: Key): Decision {
  const service = view.get('Service', key.namespace, key.name)
  if (!service || service.metadata.deletionTimestamp) return nothing
  const slices = view
    .owned('EndpointSlice', service.metadata.uid ?? '')
    .filter((slice) => slice.metadata.labels?.[managedByLabel] === manager)
  const selecting =
    Object.keys(service.spec.selector ?? {}).length > 0 && service.spec.type !== 'ExternalName'
  const pods = selecting
    ? view
        .list('Pod', key.namespace)
        .filter((pod) => selectsPlain(service.spec.selector, pod.metadata.labels))
    : []
  const wanted = selecting ? contentsOf(service, pods) : []
  return decide([...match(service, wanted, slices), ...balance(view, service)])
}

interface Content {
  readonly ports: readonly t.SliceEndpointPort[]
  readonly endpoints: readonly t.Endpoint[]
}

/** Endpoints grouped by what the Service's ports are on them: a named target port may differ from pod to pod. */
function contentsOf(service: t.Service, pods: readonly t.Pod[]): readonly Content[] {
  const groups = new Map<string, { ports: readonly t.SliceEndpointPort[]; endpoints: t.Endpoint[] }>()
  for (const pod of pods) {
    if (!pod.status?.podIP || isFinished(pod)) continue
    const ports = portsOn(service, pod)
    if (ports.length === 0 && (service.spec.ports ?? []).length > 0) continue
    const group = groups.get(JSON.stringify(ports)) ?? { ports, endpoints: [] }
    group.endpoints.push(endpointOf(service, pod, pod.status.podIP))
    groups.set(JSON.stringify(ports), group)
  }
  const sorted = [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group)
  return sorted.flatMap(({ ports, endpoints }) => {
    // A stable order, so that the same pods always give the same object.
    endpoints.sort((a, b) => ((a.targetRef?.name ?? '') < (b.targetRef?.name ?? '') ? -1 : 1))
    const parts = Math.ceil(endpoints.length / sliceSize)
    return Array.from({ length: parts }, (_, i) => ({
      ports,
      endpoints: endpoints.slice(i * sliceSize, (i + 1) * sliceSize),
    }))
  })
}

function portsOn(service: t.Service, pod: t.Pod): readonly t.SliceEndpointPort[] {
  return (service.spec.ports ?? []).flatMap((port) => {
    const number =
      typeof port.targetPort === 'string'
        ? namedPort(pod, port.targetPort, port.protocol)
        : (port.targetPort ?? port.port)
    if (number === undefined) return []
    return [
      {
        name: port.name ?? '',
        port: number,
        protocol: port.protocol ?? 'TCP',
        ...(port.appProtocol ? { appProtocol: port.appProtocol } : {}),
      },
    ]
  })
}

function namedPort(pod: t.Pod, name: string, protocol = 'TCP'): number | undefined {
  const sidecars = (pod.spec.initContainers ?? []).filter((container) => container.restartPolicy === 'Always')
  const ports = [...pod.spec.containers, ...sidecars].flatMap((container) => container.ports ?? [])
  return ports.find((port) => port.name === name && (port.protocol ?? 'TCP') === protocol)?.containerPort
}

function endpointOf(service: t.Service, pod: t.Pod, address: string): t.Endpoint {
  const serving = isReady(pod)
  const terminating = pod.metadata.deletionTimestamp !== undefined
  const { name = '', namespace = '', uid = '' } = pod.metadata
  return {
    addresses: [address],
    conditions: {
      ready: service.spec.publishNotReadyAddresses === true || (serving && !terminating),
      serving,
      terminating,
    },
    ...(pod.spec.hostname && pod.spec.subdomain === service.metadata.name
      ? { hostname: pod.spec.hostname }
      : {}),
    ...(pod.spec.nodeName ? { nodeName: pod.spec.nodeName } : {}),
    targetRef: { kind: 'Pod', namespace, name, uid },
  }
}

/** Puts the wanted contents into the slices there are, those with the same ports first; makes and removes the difference. */
function match(service: t.Service, wanted: readonly Content[], slices: readonly t.EndpointSlice[]): Write[] {
  const free = [...slices].sort((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1))
  const take = (fits: (slice: t.EndpointSlice) => boolean) => {
    const at = free.findIndex(fits)
    return at < 0 ? undefined : free.splice(at, 1)[0]
  }
  const samePorts = wanted.map((content) => take((slice) => isDeepStrictEqual(slice.ports, content.ports)))
  const names = new Set(slices.map((slice) => slice.metadata.name))
  const writes = wanted.flatMap((content, i): Write[] => {
    const slice = samePorts[i] ?? take(() => true)
    const labels = labelsOf(service)
    if (!slice) {
      let n = i
      while (names.has(sliceName(service, n))) n++
      names.add(sliceName(service, n))
      const object = newSlice(service, sliceName(service, n), content)
      return [
        { verb: 'create', object, why: `Service "${service.metadata.name}" has endpoints without a slice` },
      ]
    }
    const object: t.EndpointSlice = { ...slice, ...content, metadata: { ...slice.metadata, labels } }
    return isDeepStrictEqual(object, slice) ? [] : [{ verb: 'update', object, why: 'endpoints changed' }]
  })
  return [...writes, ...free.map((slice) => deletion(slice, 'no endpoints are left for it'))]
}

function sliceName(service: t.Service, n: number): string {
  return `${service.metadata.name}-${stableHash(service.metadata.uid, String(n)).slice(0, 5)}`
}

function newSlice(service: t.Service, name: string, content: Content): t.EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name,
      namespace: service.metadata.namespace ?? '',
      labels: labelsOf(service),
      ownerReferences: [controllerReference(service)],
    },
    addressType: 'IPv4',
    ...content,
  }
}

function labelsOf(service: t.Service): Readonly<Record<string, string>> {
  return {
    ...service.metadata.labels,
    ...(service.spec.clusterIP === 'None' ? { [headlessLabel]: '' } : {}),
    [serviceNameLabel]: service.metadata.name ?? '',
    [managedByLabel]: manager,
  }
}

/** A load balancer of one machine is the machine itself. */
function balance(view: View, service: t.Service): readonly Write[] {
  const addresses = view.list('Node').flatMap((node) => node.status?.addresses ?? [])
  const ip = addresses.find((address) => address.type === 'InternalIP')?.address
  if (service.spec.type === 'LoadBalancer' && ip) {
    const status = { ...service.status, loadBalancer: { ingress: [{ ip, ipMode: 'VIP' }] } }
    return statusUpdate(service, status, 'the node is its load balancer')
  }
  if (service.spec.type === 'LoadBalancer' || !service.status?.loadBalancer?.ingress) return []
  return statusUpdate(service, { ...service.status, loadBalancer: {} }, 'it is no load balancer any more')
}

function balanced(view: View): readonly Key[] {
  return view
    .list('Service')
    .filter((service) => service.spec.type === 'LoadBalancer')
    .map((s: KubeObject) => keyOf(s))
}
