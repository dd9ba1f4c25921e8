import { BerthError } from '../base/error.ts'
import * as columns from './columns.ts'
import { groupOf, versionOf } from './meta.ts'
import type * as t from './types.generated.ts'

/** One kind of object as the API serves it. */
export interface Kind {
  /** Empty for the core group. */
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly plural: string
  readonly singular: string
  readonly shortNames: readonly string[]
  /** `all` makes `kubectl get all` list it. */
  readonly categories: readonly string[]
  readonly namespaced: boolean
  readonly subresources: readonly ('status' | 'scale')[]
  /** Paths that field selectors may name, beside `metadata.name` and `metadata.namespace`. */
  readonly selectableFields: readonly string[]
  readonly columns: readonly columns.Column<never>[]
}

/** The TypeScript type of each kind. */
export interface KindTypes {
  readonly Namespace: t.Namespace
  readonly Pod: t.Pod
  readonly Service: t.Service
  readonly ConfigMap: t.ConfigMap
  readonly Secret: t.Secret
  readonly ServiceAccount: t.ServiceAccount
  readonly PersistentVolumeClaim: t.PersistentVolumeClaim
  readonly PersistentVolume: t.PersistentVolume
  readonly Event: t.Event
  readonly Node: t.Node
  readonly ReplicaSet: t.ReplicaSet
  readonly Deployment: t.Deployment
  readonly StatefulSet: t.StatefulSet
  readonly ControllerRevision: t.ControllerRevision
  readonly Job: t.Job
  readonly EndpointSlice: t.EndpointSlice
  readonly Lease: t.Lease
  readonly ReleaseOperation: t.ReleaseOperation
}

export type KindName = keyof KindTypes

interface Options<T> {
  readonly columns: readonly columns.Column<T>[]
  readonly plural?: string
  readonly short?: readonly string[]
  readonly inAll?: true
  readonly cluster?: true
  readonly subresources?: readonly ('status' | 'scale')[]
  readonly fields?: readonly string[]
}

function define<K extends KindName>(apiVersion: string, kind: K, options: Options<KindTypes[K]>): Kind {
  return {
    group: groupOf(apiVersion),
    version: versionOf(apiVersion),
    kind,
    plural: options.plural ?? `${kind.toLowerCase()}s`,
    singular: kind.toLowerCase(),
    shortNames: options.short ?? [],
    categories: options.inAll ? ['all'] : [],
    namespaced: !options.cluster,
    subresources: options.subresources ?? [],
    selectableFields: options.fields ?? [],
    columns: options.columns as unknown as readonly columns.Column<never>[],
  }
}

const podFields = [
  ...[
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
  ],
  ...['status.phase', 'status.podIP', 'status.nominatedNodeName'],
]
const eventFields = [
  ...['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map(
    (f) => `involvedObject.${f}`,
  ),
  ...['reason', 'reportingComponent', 'source', 'type'],
]
const scaled = ['status', 'scale'] as const

/** Every kind that berth serves, in kubectl's order of listing. */
export const kinds: readonly Kind[] = [
  define('v1', 'Namespace', {
    columns: columns.namespaceColumns,
    short: ['ns'],
    cluster: true,
    subresources: ['status'],
    fields: ['status.phase'],
  }),
  define('v1', 'Pod', {
    columns: columns.podColumns,
    short: ['po'],
    inAll: true,
    subresources: ['status'],
    fields: podFields,
  }),
  define('v1', 'Service', {
    columns: columns.serviceColumns,
    short: ['svc'],
    inAll: true,
    subresources: ['status'],
    fields: ['spec.clusterIP', 'spec.type'],
  }),
  define('v1', 'ConfigMap', { columns: columns.configMapColumns, short: ['cm'] }),
  define('v1', 'Secret', { columns: columns.secretColumns, fields: ['type'] }),
  define('v1', 'ServiceAccount', { columns: columns.serviceAccountColumns, short: ['sa'] }),
  define('v1', 'PersistentVolumeClaim', {
    columns: columns.claimColumns,
    short: ['pvc'],
    subresources: ['status'],
  }),
  define('v1', 'PersistentVolume', {
    columns: columns.volumeColumns,
    short: ['pv'],
    cluster: true,
    subresources: ['status'],
  }),
  define('v1', 'Event', { columns: columns.eventColumns, short: ['ev'], fields: eventFields }),
  define('v1', 'Node', {
    columns: columns.nodeColumns,
    short: ['no'],
    cluster: true,
    subresources: ['status'],
    fields: ['spec.unschedulable'],
  }),
  define('apps/v1', 'Deployment', {
    columns: columns.deploymentColumns,
    short: ['deploy'],
    inAll: true,
    subresources: scaled,
  }),
  define('apps/v1', 'ReplicaSet', {
    columns: columns.replicaSetColumns,
    short: ['rs'],
    inAll: true,
    subresources: scaled,
    fields: ['status.replicas'],
  }),
  define('apps/v1', 'StatefulSet', {
    columns: columns.statefulSetColumns,
    short: ['sts'],
    inAll: true,
    subresources: scaled,
  }),
  define('apps/v1', 'ControllerRevision', { columns: columns.controllerRevisionColumns }),
  define('batch/v1', 'Job', {
    columns: columns.jobColumns,
    inAll: true,
    subresources: ['status'],
    fields: ['status.successful'],
  }),
  define('discovery.k8s.io/v1', 'EndpointSlice', { columns: columns.endpointSliceColumns }),
  define('coordination.k8s.io/v1', 'Lease', { columns: columns.leaseColumns }),
  define('berth.dev/v1', 'ReleaseOperation', {
    columns: columns.releaseOperationColumns,
    subresources: ['status'],
  }),
]

/** The kind of an object's `apiVersion` and `kind`, or undefined. */
export function kindOf(apiVersion: string, kind: string): Kind | undefined {
  return kinds.find((k) => k.kind === kind && apiVersionOf(k) === apiVersion)
}

/** The kind that a URL names: `/apis/apps/v1/deployments`. */
export function kindByPlural(group: string, version: string, plural: string): Kind | undefined {
  return kinds.find((k) => k.group === group && k.version === version && k.plural === plural)
}

/** The kind of a TypeScript name. */
export function kindNamed(name: KindName): Kind {
  const kind = kinds.find((k) => k.kind === name)
  if (!kind) throw new BerthError('INTERNAL', `No kind is named "${name}"`)
  return kind
}

/** The kind that a person's word means, as kubectl takes it: plural, singular, short name, any case, `deployments.apps`. */
export function kindByWord(word: string): Kind | undefined {
  const [first = '', ...rest] = word.toLowerCase().split('.')
  const group = rest.join('.')
  return kinds.find(
    (k) =>
      (k.plural === first || k.singular === first || k.shortNames.includes(first)) &&
      (group === '' || group === k.group || group === `${k.version}.${k.group}`),
  )
}

/** `apps/v1`, or `v1` in the core group. */
export function apiVersionOf(kind: Pick<Kind, 'group' | 'version'>): string {
  return kind.group === '' ? kind.version : `${kind.group}/${kind.version}`
}
