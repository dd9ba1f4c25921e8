import { ageText } from './age.ts'
import { controllerOf, groupOf, timeMs } from './meta.ts'
import { podReady, podRestarts, podStatus } from './pod-summary.ts'
import { canonicalQuantity } from './quantity.ts'
import { selectorText } from './selector.ts'
import type * as t from './types.generated.ts'

/** A column of the server-side table that kubectl prints: a pure function of the object and the time. */
export interface Column<T> {
  readonly name: string
  readonly type: 'string' | 'integer'
  readonly format?: 'name'
  /** Shown with `-o wide` only (`priority: 1` on the wire). */
  readonly wide?: true
  cell(object: T, now: number): string | number
}

type Named = { readonly metadata: t.ObjectMeta }
type Cell<T> = (object: T, now: number) => string | number

const name: Column<Named> = {
  name: 'Name',
  type: 'string',
  format: 'name',
  cell: (o) => o.metadata.name ?? '',
}
const age: Column<Named> = {
  name: 'Age',
  type: 'string',
  cell: (o, now) => since(o.metadata.creationTimestamp, now),
}

const text = <T>(title: string, cell: Cell<T>): Column<T> => ({ name: title, type: 'string', cell })
const count = <T>(title: string, cell: Cell<T>): Column<T> => ({ name: title, type: 'integer', cell })
const wide = <T>(title: string, cell: Cell<T>): Column<T> => ({
  name: title,
  type: 'string',
  wide: true,
  cell,
})

type Templated = { readonly spec: { readonly template: t.PodTemplateSpec } }
const containers = [
  wide<Templated>('Containers', (o) =>
    containersOf(o.spec.template)
      .map((c) => c.name)
      .join(','),
  ),
  wide<Templated>('Images', (o) =>
    containersOf(o.spec.template)
      .map((c) => c.image ?? '')
      .join(','),
  ),
]
const selector = wide<{ readonly spec: { readonly selector?: t.LabelSelector } }>('Selector', (o) =>
  selectorText(o.spec.selector),
)

export const podColumns: readonly Column<t.Pod>[] = [
  name,
  text('Ready', podReady),
  text('Status', podStatus),
  text('Restarts', (pod, now) => {
    const { restarts, last } = podRestarts(pod)
    return restarts > 0 && last !== undefined ? `${restarts} (${ageText(now - last)} ago)` : String(restarts)
  }),
  age,
  wide('IP', (pod) => pod.status?.podIPs?.[0]?.ip ?? pod.status?.podIP ?? none),
  wide('Node', (pod) => pod.spec.nodeName || none),
  wide('Nominated Node', (pod) => pod.status?.nominatedNodeName || none),
  wide('Readiness Gates', (pod) => {
    const gates = pod.spec.readinessGates ?? []
    const open = gates.filter((gate) => isTrue(pod.status?.conditions, gate.conditionType))
    return gates.length === 0 ? none : `${open.length}/${gates.length}`
  }),
]

export const deploymentColumns: readonly Column<t.Deployment>[] = [
  name,
  text('Ready', (o) => `${o.status?.readyReplicas ?? 0}/${o.spec.replicas ?? 1}`),
  count('Up-to-date', (o) => o.status?.updatedReplicas ?? 0),
  count('Available', (o) => o.status?.availableReplicas ?? 0),
  age,
  ...containers,
  selector,
]

export const replicaSetColumns: readonly Column<t.ReplicaSet>[] = [
  name,
  count('Desired', (o) => o.spec.replicas ?? 1),
  count('Current', (o) => o.status?.replicas ?? 0),
  count('Ready', (o) => o.status?.readyReplicas ?? 0),
  age,
  ...(containers as unknown as Column<t.ReplicaSet>[]),
  selector,
]

export const statefulSetColumns: readonly Column<t.StatefulSet>[] = [
  name,
  text('Ready', (o) => `${o.status?.readyReplicas ?? 0}/${o.spec.replicas ?? 1}`),
  age,
  ...containers,
]

export const jobColumns: readonly Column<t.Job>[] = [
  name,
  text('Status', jobStatus),
  text('Completions', (o) => {
    const done = o.status?.succeeded ?? 0
    if (o.spec.completions !== undefined) return `${done}/${o.spec.completions}`
    const parallelism = o.spec.parallelism ?? 0
    return parallelism > 1 ? `${done}/1 of ${parallelism}` : `${done}/1`
  }),
  text('Duration', (o, now) => {
    const start = timeMs(o.status?.startTime)
    return start === undefined ? '' : ageText((timeMs(o.status?.completionTime) ?? now) - start)
  }),
  age,
  ...containers,
  selector,
]

export const serviceColumns: readonly Column<t.Service>[] = [
  name,
  text('Type', (o) => o.spec.type ?? ''),
  text('Cluster-IP', (o) => o.spec.clusterIPs?.[0] ?? o.spec.clusterIP ?? none),
  text('External-IP', externalAddress),
  text('Port(s)', (o) => (o.spec.ports ?? []).map(portText).join(',') || none),
  age,
  wide('Selector', (o) => pairs(o.spec.selector)),
]

export const endpointSliceColumns: readonly Column<t.EndpointSlice>[] = [
  name,
  text('AddressType', (o) => o.addressType),
  text('Ports', (o) =>
    some(
      (o.ports ?? []).map((port) => String(port.port ?? '*')),
      unset,
    ),
  ),
  text('Endpoints', (o) => firstThree(o.endpoints.flatMap((endpoint) => endpoint.addresses))),
  age,
]

export const namespaceColumns: readonly Column<t.Namespace>[] = [
  name,
  text('Status', (o) => o.status?.phase ?? ''),
  age,
]

export const configMapColumns: readonly Column<t.ConfigMap>[] = [
  name,
  text('Data', (o) => Object.keys(o.data ?? {}).length + Object.keys(o.binaryData ?? {}).length),
  age,
]

export const secretColumns: readonly Column<t.Secret>[] = [
  name,
  text('Type', (o) => o.type ?? ''),
  text('Data', (o) => Object.keys(o.data ?? {}).length),
  age,
]

export const serviceAccountColumns: readonly Column<t.ServiceAccount>[] = [name, age]

export const claimColumns: readonly Column<t.PersistentVolumeClaim>[] = [
  name,
  text('Status', (o) => (o.metadata.deletionTimestamp ? 'Terminating' : (o.status?.phase ?? ''))),
  text('Volume', (o) => o.spec.volumeName ?? ''),
  text('Capacity', (o) => (o.spec.volumeName ? canonicalQuantity(o.status?.capacity?.storage ?? '0') : '')),
  text('Access Modes', (o) => (o.spec.volumeName ? modesText(o.status?.accessModes) : '')),
  text('StorageClass', (o) => o.spec.storageClassName ?? ''),
  text('VolumeAttributesClass', (o) => o.spec.volumeAttributesClassName ?? unset),
  age,
  wide('VolumeMode', (o) => o.spec.volumeMode ?? unset),
]

export const volumeColumns: readonly Column<t.PersistentVolume>[] = [
  name,
  text('Capacity', (o) => canonicalQuantity(o.spec.capacity?.storage ?? '0')),
  text('Access Modes', (o) => modesText(o.spec.accessModes)),
  text('Reclaim Policy', (o) => o.spec.persistentVolumeReclaimPolicy ?? ''),
  text('Status', (o) => (o.metadata.deletionTimestamp ? 'Terminating' : (o.status?.phase ?? ''))),
  text('Claim', (o) => (o.spec.claimRef ? `${o.spec.claimRef.namespace}/${o.spec.claimRef.name}` : '')),
  text('StorageClass', (o) => o.spec.storageClassName ?? ''),
  text('VolumeAttributesClass', (o) => o.spec.volumeAttributesClassName ?? unset),
  text('Reason', (o) => o.status?.reason ?? ''),
  age,
  wide('VolumeMode', (o) => o.spec.volumeMode ?? unset),
]

export const controllerRevisionColumns: readonly Column<t.ControllerRevision>[] = [
  name,
  text('Controller', (o) => {
    const owner = controllerOf(o)
    if (!owner) return none
    const group = groupOf(owner.apiVersion)
    return `${owner.kind.toLowerCase()}${group ? `.${group}` : ''}/${owner.name}`
  }),
  text('Revision', (o) => o.revision),
  age,
]

export const releaseOperationColumns: readonly Column<t.ReleaseOperation>[] = [
  name,
  text('Command', (o) => String(o.spec.command ?? '')),
  text('Release', (o) => String(o.spec.release ?? '')),
  text('Phase', (o) => String(o.status?.phase ?? 'Pending')),
  age,
]

export const leaseColumns: readonly Column<t.Lease>[] = [
  name,
  text('Holder', (o) => o.spec.holderIdentity ?? ''),
  age,
]

export const nodeColumns: readonly Column<t.Node>[] = [
  name,
  text('Status', (o) => {
    const ready = o.status?.conditions?.find((condition) => condition.type === 'Ready')
    const state = !ready ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady'
    return o.spec.unschedulable ? `${state},SchedulingDisabled` : state
  }),
  text('Roles', (o) => some(nodeRoles(o.metadata.labels ?? {}), none)),
  age,
  text('Version', (o) => o.status?.nodeInfo?.kubeletVersion ?? ''),
  wide('Internal-IP', (o) => nodeAddress(o, 'InternalIP')),
  wide('External-IP', (o) => nodeAddress(o, 'ExternalIP')),
  wide('OS-Image', (o) => o.status?.nodeInfo?.osImage || unknown),
  wide('Kernel-Version', (o) => o.status?.nodeInfo?.kernelVersion || unknown),
  wide('Container-Runtime', (o) => o.status?.nodeInfo?.containerRuntimeVersion || unknown),
]

export const eventColumns: readonly Column<t.Event>[] = [
  text('Last Seen', (o, now) =>
    since(o.series?.lastObservedTime ?? o.lastTimestamp ?? o.firstTimestamp ?? o.eventTime, now),
  ),
  text('Type', (o) => o.type ?? ''),
  text('Reason', (o) => o.reason ?? ''),
  text('Object', (o) => {
    const kind = (o.involvedObject.kind ?? '').toLowerCase()
    return o.involvedObject.name ? `${kind}/${o.involvedObject.name}` : kind
  }),
  wide('Subobject', (o) => o.involvedObject.fieldPath ?? ''),
  wide('Source', (o) => {
    const parts = [o.source?.component ?? o.reportingComponent, o.source?.host ?? o.reportingInstance]
    return parts.filter(Boolean).join(', ')
  }),
  text('Message', (o) => (o.message ?? '').trim()),
  wide('First Seen', (o, now) => since(o.firstTimestamp ?? o.eventTime, now)),
  wide('Count', (o) => o.series?.count ?? (o.count || 1)),
  { ...name, wide: true },
]

const none = '<none>'
const unset = '<unset>'
const unknown = '<unknown>'

function since(time: string | undefined, now: number): string {
  return time === undefined ? unknown : ageText(now - timeMs(time))
}

function containersOf(template: t.PodTemplateSpec): readonly t.Container[] {
  return template.spec?.containers ?? []
}

function isTrue(conditions: readonly { type: string; status: string }[] | undefined, type: string): boolean {
  return conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false
}

function jobStatus(job: t.Job): string {
  const states = ['Complete', 'Failed', 'Suspended', 'FailureTarget', 'SuccessCriteriaMet'] as const
  const state = states.find((type) => isTrue(job.status?.conditions, type))
  if (state === 'Complete' || state === 'Failed') return state
  return job.metadata.deletionTimestamp ? 'Terminating' : (state ?? 'Running')
}

function externalAddress({ spec, status }: t.Service): string {
  const external = spec.externalIPs ?? []
  if (spec.type === 'ExternalName') return spec.externalName ?? ''
  if (spec.type !== 'LoadBalancer') return some(external, none)
  const ingress = (status?.loadBalancer?.ingress ?? []).map((entry) => entry.ip || entry.hostname || '')
  return some([...ingress, ...external], '<pending>')
}

function portText(port: t.ServicePort): string {
  return `${port.port}${port.nodePort ? `:${port.nodePort}` : ''}/${port.protocol ?? 'TCP'}`
}

function pairs(labels: Readonly<Record<string, string>> | undefined): string {
  return some(
    Object.entries(labels ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .sort(),
    none,
  )
}

function some(parts: readonly string[], empty: string): string {
  return parts.length === 0 ? empty : parts.join(',')
}

function firstThree(parts: readonly string[]): string {
  const more = parts.length > 3 ? ` + ${parts.length - 3} more...` : ''
  return some(parts.slice(0, 3), unset) + more
}

const modeNames: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
}

function modesText(modes: readonly string[] | undefined): string {
  const order = Object.keys(modeNames)
  return order
    .filter((mode) => modes?.includes(mode))
    .map((mode) => modeNames[mode])
    .join(',')
}

function nodeRoles(labels: Readonly<Record<string, string>>): string[] {
  const prefix = 'node-role.kubernetes.io/'
  return Object.keys(labels)
    .filter((label) => label.startsWith(prefix))
    .map((label) => label.slice(prefix.length))
    .sort()
}

function nodeAddress(node: t.Node, type: string): string {
  return node.status?.addresses?.find((address) => address.type === type)?.address ?? none
}
