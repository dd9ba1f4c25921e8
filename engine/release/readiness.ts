import type { ClusterObject } from './cluster.ts'

/** Whether an object does its work, and in words what is missing. */
export interface Readiness {
  readonly state: 'ready' | 'waiting' | 'failed'
  readonly reason: string
}

interface Condition {
  readonly type: string
  readonly status: string
  readonly reason?: string
  readonly message?: string
}

interface Fields {
  readonly [field: string]: unknown
}

const ready: Readiness = { state: 'ready', reason: '' }
const waiting = (reason: string): Readiness => ({ state: 'waiting', reason })
const failed = (reason: string): Readiness => ({ state: 'failed', reason })

/** Kinds with a rule of their own; others are ready when their conditions do not say otherwise. */
const rules: Readonly<Record<string, (object: ClusterObject, options: { jobs: boolean }) => Readiness>> = {
  Deployment: deployment,
  StatefulSet: statefulSet,
  DaemonSet: daemonSet,
  ReplicaSet: (object) => replicas(object, 'readyReplicas'),
  Pod: pod,
  Job: job,
  PersistentVolumeClaim: ({ status }) =>
    (status as Fields)?.phase === 'Bound' ? ready : waiting('is not bound to a volume'),
  Service: ({ spec }) =>
    (spec as Fields)?.type === 'LoadBalancer' && !(spec as Fields)?.clusterIP
      ? waiting('has no address')
      : ready,
  Namespace: ({ status }) => ((status as Fields)?.phase === 'Terminating' ? failed('is going') : ready),
}

/**
 * The state of a live object, as Helm's status watcher sees it: what is observed belongs to the newest generation,
 * and the kind's own counts and conditions are met. `jobs`: a Job must be done, not only begun.
 */
export function readinessOf(object: ClusterObject | undefined, options: { jobs: boolean }): Readiness {
  if (!object) return waiting('is not there yet')
  if (object.metadata.deletionTimestamp !== undefined) return waiting('is being removed')
  const observed = (object.status as Fields | undefined)?.observedGeneration
  const { generation } = object.metadata
  if (typeof observed === 'number' && generation !== undefined && observed < generation)
    return waiting('has not been seen by its controller since it changed')
  const rule = rules[object.kind]
  return rule ? rule(object, options) : generic(object)
}

function numberAt(fields: unknown, name: string, fallback = 0): number {
  const value = (fields as Fields | undefined)?.[name]
  return typeof value === 'number' ? value : fallback
}

function condition(object: ClusterObject, type: string): Condition | undefined {
  const list = (object.status as Fields | undefined)?.conditions
  return Array.isArray(list) ? (list as Condition[]).find((one) => one.type === type) : undefined
}

function deployment(object: ClusterObject): Readiness {
  const { spec, status } = object
  const progressing = condition(object, 'Progressing')
  if (progressing?.reason === 'ProgressDeadlineExceeded')
    return failed(progressing.message ?? 'made no progress in time')
  if ((status as Fields | undefined)?.observedGeneration === undefined)
    return waiting('has not been seen by its controller')
  const wanted = numberAt(spec, 'replicas', 1)
  const updated = numberAt(status, 'updatedReplicas')
  const total = numberAt(status, 'replicas')
  const available = numberAt(status, 'availableReplicas')
  if (updated < wanted) return waiting(`has ${updated} of ${wanted} replicas updated`)
  const old = total - updated
  if (old > 0) return waiting(`still has ${old} old replica${old === 1 ? '' : 's'}`)
  if (available < updated || available < wanted)
    return waiting(`has ${available} of ${wanted} replicas ready`)
  return ready
}

function statefulSet(object: ClusterObject): Readiness {
  const { spec, status } = object
  if ((status as Fields | undefined)?.observedGeneration === undefined)
    return waiting('has not been seen by its controller')
  const wanted = numberAt(spec, 'replicas', 1)
  const readyCount = numberAt(status, 'readyReplicas')
  if ((spec as { updateStrategy?: Fields }).updateStrategy?.type === 'OnDelete') return ready
  if (readyCount < wanted) return waiting(`has ${readyCount} of ${wanted} replicas ready`)
  const partition = numberAt(
    (spec as { updateStrategy?: { rollingUpdate?: Fields } }).updateStrategy?.rollingUpdate,
    'partition',
  )
  const updated = numberAt(status, 'updatedReplicas')
  if (updated < wanted - partition) return waiting(`has ${updated} of ${wanted - partition} replicas updated`)
  const { currentRevision, updateRevision } = (status ?? {}) as Fields
  if (partition === 0 && currentRevision !== updateRevision) return waiting('is still rolling out')
  return ready
}

function daemonSet(object: ClusterObject): Readiness {
  const { status } = object
  if ((status as Fields | undefined)?.observedGeneration === undefined)
    return waiting('has not been seen by its controller')
  const wanted = numberAt(status, 'desiredNumberScheduled')
  const updated = numberAt(status, 'updatedNumberScheduled')
  const available = numberAt(status, 'numberAvailable')
  if (updated < wanted) return waiting(`has ${updated} of ${wanted} pods updated`)
  return available < wanted ? waiting(`has ${available} of ${wanted} pods ready`) : ready
}

function replicas({ spec, status }: ClusterObject, field: string): Readiness {
  const wanted = numberAt(spec, 'replicas', 1)
  const count = numberAt(status, field)
  return count < wanted ? waiting(`has ${count} of ${wanted} replicas ready`) : ready
}

function pod(object: ClusterObject): Readiness {
  const { phase, message } = (object.status ?? {}) as Fields
  if (phase === 'Succeeded') return ready
  if (phase === 'Failed') return failed(typeof message === 'string' && message ? message : 'failed')
  return condition(object, 'Ready')?.status === 'True' ? ready : waiting(`is ${phase ?? 'not scheduled'}`)
}

function job(object: ClusterObject, { jobs }: { jobs: boolean }): Readiness {
  const failure = condition(object, 'Failed')
  if (failure?.status === 'True') return failed(failure.message ?? failure.reason ?? 'failed')
  if (condition(object, 'Complete')?.status === 'True') return ready
  if (jobs) return waiting('is not done')
  return (object.status as Fields | undefined)?.startTime === undefined ? waiting('has not begun') : ready
}

function generic(object: ClusterObject): Readiness {
  if (condition(object, 'Stalled')?.status === 'True')
    return failed(condition(object, 'Stalled')?.message ?? 'is stalled')
  const state = condition(object, 'Ready')
  return state && state.status !== 'True' ? waiting(state.message ?? 'is not ready') : ready
}
