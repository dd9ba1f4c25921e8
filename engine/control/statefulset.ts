import type { Pod, StatefulSet, StatefulSetStatus } from '../object/types.generated.ts'
import { claim, ownerOrSelecting } from './adopt.ts'
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
import { availableAt, countPods, isFinished, isReady } from './pods.ts'
import { claimsFor, ordinalOf, podFor, revisionLabel, scaledClaims } from './statefulset-pod.ts'
import { findRevisions, type Revisions } from './statefulset-revision.ts'
import type { View } from './view.ts'

const source = 'statefulset-controller'

/** Keeps the pods NAME-0 … NAME-(n-1), each with its own claims, made, renewed and given up in order. */
export const statefulSetController: Controller = {
  name: source,
  reconcile,
  affected(view, object): readonly Key[] {
    if (object.kind === 'StatefulSet') return [keyOf(object)]
    const child = object.kind === 'Pod' || object.kind === 'ControllerRevision'
    return child ? ownerOrSelecting(view, 'StatefulSet', object) : []
  },
}

function reconcile(view: View, key: Key, now: number): Decision {
  const set = view.get('StatefulSet', key.namespace, key.name)
  if (!set || set.metadata.deletionTimestamp) return nothing
  const candidates = view.list('Pod', key.namespace).filter((pod) => ordinalOf(set, pod) !== undefined)
  const { own, writes } = claim(set, set.spec.selector, candidates)
  const pods = new Map(own.map((pod) => [ordinalOf(set, pod) ?? -1, pod]))
  const revisions = findRevisions(view, set, own)
  // Pods are made of a revision that is stored.
  if (revisions.writes.length > 0) return decide([...writes, ...revisions.writes])
  const status = statusOf(set, own, revisions, now)
  const changes = plan(view, set, pods, revisions, now)
  const report = statusUpdate(set, status.status, 'its pods changed')
  return decide([...writes, ...changes, ...report, ...revisions.surplus], status.again)
}

/** The next changes: make and heal from the lowest, give up from the highest, renew from the highest. */
function plan(
  view: View,
  set: StatefulSet,
  pods: ReadonlyMap<number, Pod>,
  revisions: Revisions,
  now: number,
): Write[] {
  const first = set.spec.ordinals?.start ?? 0
  const last = first + (set.spec.replicas ?? 1) - 1
  const ordered = set.spec.podManagementPolicy !== 'Parallel'
  const writes: Write[] = []
  const healthy = (pod: Pod | undefined) => pod !== undefined && isHealthy(set, pod, now)

  for (let ordinal = first; ordinal <= last; ordinal++) {
    const pod = pods.get(ordinal)
    if (!pod) writes.push(...creation(view, set, ordinal, revisions))
    else if (!pod.metadata.deletionTimestamp && isFinished(pod)) {
      writes.push(deletion(pod, 'it ended and must run', announce(set)))
    } else if (!healthy(pod) && isStale(set, pod, ordinal, revisions)) {
      // Kubernetes waits for ever for such a pod; here a correction of the template reaches it.
      if (!pod.metadata.deletionTimestamp)
        writes.push(deletion(pod, 'it is not ready and of another revision', announce(set)))
    }
    if (ordered && (writes.length > 0 || !healthy(pod))) return writes
  }

  const condemned = [...pods]
    .filter(([ordinal]) => ordinal < first || ordinal > last)
    .sort(([a], [b]) => b - a)
  for (const [, pod] of condemned) {
    if (!pod.metadata.deletionTimestamp) {
      writes.push(...scaledClaims(view, set, pod))
      writes.push(
        deletion(
          pod,
          `StatefulSet "${set.metadata.name}" wants ${set.spec.replicas ?? 1} pods`,
          announce(set),
        ),
      )
    }
    if (ordered) return writes
  }
  if (writes.length > 0 || set.spec.updateStrategy?.type === 'OnDelete') return writes

  const partition = set.spec.updateStrategy?.rollingUpdate?.partition ?? 0
  for (let ordinal = last; ordinal >= first + partition; ordinal--) {
    const pod = pods.get(ordinal)
    if (pod && pod.metadata.labels?.[revisionLabel] !== revisions.update && !pod.metadata.deletionTimestamp) {
      return [deletion(pod, `its template is not revision ${revisions.update}`, announce(set))]
    }
    if (!healthy(pod)) return []
  }
  return []
}

function creation(view: View, set: StatefulSet, ordinal: number, revisions: Revisions): Write[] {
  const why = `StatefulSet "${set.metadata.name}" has no pod ${ordinal}`
  const wanted = revisionFor(set, ordinal, revisions)
  const pod = podFor(set, ordinal, { revision: wanted, template: revisions.templateOf(wanted) })
  const claims = claimsFor(set, ordinal)
    .filter(
      ({ metadata }) => !view.get('PersistentVolumeClaim', metadata.namespace ?? '', metadata.name ?? ''),
    )
    .map(
      (object): Write => ({
        verb: 'create',
        object,
        why: `pod ${pod.metadata.name} mounts it`,
        ...announce(set),
      }),
    )
  return [...claims, { verb: 'create', object: pod, why, ...announce(set) }]
}

/** Below the partition pods stay at the revision from before. */
function revisionFor(set: StatefulSet, ordinal: number, { current, update }: Revisions): string {
  const { type, rollingUpdate } = set.spec.updateStrategy ?? {}
  const first = set.spec.ordinals?.start ?? 0
  return type !== 'OnDelete' && ordinal < first + (rollingUpdate?.partition ?? 0) ? current : update
}

function isStale(set: StatefulSet, pod: Pod, ordinal: number, revisions: Revisions): boolean {
  if (set.spec.updateStrategy?.type === 'OnDelete') return false
  return pod.metadata.labels?.[revisionLabel] !== revisionFor(set, ordinal, revisions)
}

function isHealthy(set: StatefulSet, pod: Pod, now: number): boolean {
  const time = availableAt(pod, set.spec.minReadySeconds ?? 0)
  return pod.metadata.deletionTimestamp === undefined && time !== undefined && time <= now
}

function statusOf(set: StatefulSet, own: readonly Pod[], revisions: Revisions, now: number) {
  const { current, update } = revisions
  const living = own.filter((pod) => !pod.metadata.deletionTimestamp)
  const { ready, available, again } = countPods(living, set.spec.minReadySeconds ?? 0, now)
  const at = (revision: string) => living.filter((pod) => pod.metadata.labels?.[revisionLabel] === revision)
  const wanted = set.spec.replicas ?? 1
  const updated = at(update)
  const complete = updated.length === wanted && own.length === wanted && updated.every(isReady)
  const status: StatefulSetStatus = {
    observedGeneration: set.metadata.generation ?? 0,
    replicas: own.length,
    readyReplicas: ready,
    availableReplicas: available,
    currentReplicas: complete ? updated.length : at(current).length,
    updatedReplicas: updated.length,
    currentRevision: complete ? update : current,
    updateRevision: update,
    collisionCount: set.status?.collisionCount ?? 0,
  }
  return { status, ...(again === undefined ? {} : { again }) }
}

function announce(set: StatefulSet) {
  return { announce: { about: set, source } }
}
