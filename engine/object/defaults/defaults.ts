import type { KindName, KindTypes } from '../kinds.ts'
import type { KubeObject } from '../meta.ts'
import type * as t from '../types.generated.ts'
import { fill, on } from './fill.ts'
import { defaultPod, defaultTemplate } from './pod.ts'

type Defaults = { readonly [K in KindName]?: (object: KindTypes[K]) => KindTypes[K] }

/**
 * An object with the fields that kube-apiserver fills in when they are absent. Pure and idempotent; what a field
 * states is never changed.
 */
export function applyDefaults<T extends KubeObject>(object: T): T {
  const rule = table[object.kind as KindName] as ((object: T) => T) | undefined
  return rule ? rule(object) : object
}

const table: Defaults = {
  Pod: defaultPod,
  Deployment: (o) => ({ ...o, spec: defaultDeployment(o.spec) }),
  ReplicaSet: (o) => ({ ...o, spec: on(fill(o.spec, { replicas: 1 }), 'template', defaultTemplate) }),
  StatefulSet: (o) => ({ ...o, spec: defaultStatefulSet(o.spec) }),
  Job: defaultJob,
  Service: defaultService,
  Secret: (o) => fill(o, { type: 'Opaque' }),
  Namespace: (o) => ({
    ...o,
    metadata: {
      ...o.metadata,
      labels: { ...o.metadata.labels, 'kubernetes.io/metadata.name': o.metadata.name ?? '' },
    },
    spec: o.spec ?? {},
    status: fill(o.status, { phase: 'Active' }),
  }),
  PersistentVolumeClaim: (o) => ({
    ...o,
    spec: fill(o.spec, { volumeMode: 'Filesystem' }),
    status: fill(o.status, { phase: 'Pending' }),
  }),
  PersistentVolume: (o) => ({
    ...o,
    spec: on(
      fill(o.spec, { volumeMode: 'Filesystem', persistentVolumeReclaimPolicy: 'Retain' }),
      'hostPath',
      (path) => ({
        ...path,
        type: path.type ?? '',
      }),
    ),
    status: fill(o.status, { phase: 'Pending' }),
  }),
  Node: (o) => ({
    ...o,
    spec: o.spec ?? {},
    ...(o.status?.capacity ? { status: fill(o.status, { allocatable: o.status.capacity }) } : {}),
  }),
  EndpointSlice: (o) => on(o, 'ports', (ports) => ports.map((port) => fill(port, { protocol: 'TCP' }))),
  Lease: (o) => ({ ...o, spec: o.spec ?? {} }),
}

function defaultDeployment(spec: t.DeploymentSpec): t.DeploymentSpec {
  const strategy = fill(spec?.strategy, { type: 'RollingUpdate' })
  const quarter = { maxSurge: '25%', maxUnavailable: '25%' }
  const rolling =
    strategy.type === 'RollingUpdate' ? { rollingUpdate: fill(strategy.rollingUpdate, quarter) } : {}
  const filled = fill(spec, { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 })
  return on({ ...filled, strategy: { ...strategy, ...rolling } }, 'template', defaultTemplate)
}

function defaultStatefulSet(spec: t.StatefulSetSpec): t.StatefulSetSpec {
  const strategy = spec?.updateStrategy?.type
    ? spec.updateStrategy
    : {
        ...spec?.updateStrategy,
        type: 'RollingUpdate',
        rollingUpdate: spec?.updateStrategy?.rollingUpdate ?? {},
      }
  const rolling = on(strategy as t.StatefulSetUpdateStrategy, 'rollingUpdate', (update) =>
    fill(update, { partition: 0 }),
  )
  const filled = fill(spec, { replicas: 1, revisionHistoryLimit: 10, podManagementPolicy: 'OrderedReady' })
  const retention = fill(spec?.persistentVolumeClaimRetentionPolicy, {
    whenDeleted: 'Retain',
    whenScaled: 'Retain',
  })
  const out = { ...filled, updateStrategy: rolling, persistentVolumeClaimRetentionPolicy: retention }
  const claims = on(out, 'volumeClaimTemplates', (all) => all.map(defaultClaimTemplate))
  return on(claims, 'template', defaultTemplate)
}

function defaultClaimTemplate(claim: t.PersistentVolumeClaim): t.PersistentVolumeClaim {
  return applyDefaults<t.PersistentVolumeClaim>({ ...claim, apiVersion: 'v1', kind: 'PersistentVolumeClaim' })
}

function defaultJob(job: t.Job): t.Job {
  const { spec } = job
  const once = spec.completions === undefined && spec.parallelism === undefined ? { completions: 1 } : {}
  const filled = fill(spec, {
    ...once,
    parallelism: 1,
    backoffLimit: spec.backoffLimitPerIndex === undefined ? 6 : 2 ** 31 - 1,
    completionMode: 'NonIndexed',
    suspend: false,
    podReplacementPolicy: spec.podFailurePolicy ? 'Failed' : 'TerminatingOrFailed',
    manualSelector: false,
  })
  const labels = spec.template?.metadata?.labels
  const named = labels && Object.keys(job.metadata.labels ?? {}).length === 0
  return {
    ...job,
    metadata: named ? { ...job.metadata, labels } : job.metadata,
    spec: on(filled, 'template', defaultTemplate),
  }
}

function defaultService(service: t.Service): t.Service {
  const type = service.spec?.type || 'ClusterIP'
  const affinity = service.spec?.sessionAffinity || 'None'
  const outside =
    type === 'NodePort' || type === 'LoadBalancer' || (service.spec?.externalIPs ?? []).length > 0
  const { sessionAffinityConfig, ...spec } = service.spec ?? {}
  const filled = fill<t.ServiceSpec>(spec, {
    type,
    sessionAffinity: affinity,
    ...(affinity === 'ClientIP'
      ? { sessionAffinityConfig: { clientIP: { timeoutSeconds: 10800, ...sessionAffinityConfig?.clientIP } } }
      : {}),
    ...(outside ? { externalTrafficPolicy: 'Cluster' } : {}),
    ...(type === 'ExternalName' ? {} : { internalTrafficPolicy: 'Cluster' }),
    ...(type === 'LoadBalancer' ? { allocateLoadBalancerNodePorts: true } : {}),
  })
  return { ...service, spec: on(filled, 'ports', (ports) => ports.map(defaultPort)) }
}

function defaultPort(port: t.ServicePort): t.ServicePort {
  const target = port.targetPort === undefined || port.targetPort === '' || port.targetPort === 0
  return { ...fill(port, { protocol: 'TCP' }), ...(target ? { targetPort: port.port } : {}) }
}
