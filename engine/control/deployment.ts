import type { KubeObject } from '../object/meta.ts'
import type { Deployment, ReplicaSet } from '../object/types.generated.ts'
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
import { deploymentStatus } from './deployment-status.ts'
import { countPods, isActive, isFinished } from './pods.ts'
import {
  annotate,
  byAge,
  newSetOf,
  nextRevision,
  noteSize,
  replicaSetFor,
  revisionAnnotation,
  revisionOf,
} from './revisions.ts'
import { isScalingEvent, limitsOf, plannedSizes, proportionalSizes, type SetFacts } from './rollout.ts'
import type { View } from './view.ts'

const source = 'deployment-controller'

/** Brings a Deployment's ReplicaSets, one for each template it has had, to the sizes that its strategy wants now. */
export const deploymentController: Controller = {
  name: source,
  reconcile,
  affected(view, object): readonly Key[] {
    if (object.kind === 'Deployment') return [keyOf(object)]
    if (object.kind === 'ReplicaSet') return ownerOrSelecting(view, 'Deployment', object)
    return object.kind === 'Pod' ? ofPod(view, object) : []
  },
}

function reconcile(view: View, key: Key, now: number): Decision {
  const deployment = view.get('Deployment', key.namespace, key.name)
  if (!deployment) return nothing
  const { own, writes } = claim(deployment, deployment.spec.selector, view.list('ReplicaSet', key.namespace))
  if (writes.length > 0) return decide(writes)
  const sets = [...own].sort(byAge)
  if (deployment.metadata.deletionTimestamp) return decide(report(deployment, sets, now).writes)

  const current = newSetOf(deployment, sets)
  const changes =
    deployment.spec.paused || isScalingEvent(deployment, sets)
      ? resize(deployment, sets, proportionalSizes(deployment, sets))
      : roll(view, deployment, { sets, current, now })
  const status = report(deployment, sets, now)
  return decide([...changes, ...status.writes, ...cleanUp(deployment, sets, current)], status.again)
}

function roll(
  view: View,
  deployment: Deployment,
  { sets, current, now }: { sets: readonly ReplicaSet[]; current: ReplicaSet | undefined; now: number },
): readonly Write[] {
  const old = sets.filter((set) => set !== current)
  if (deployment.spec.strategy?.type === 'Recreate') {
    const shrink = resize(deployment, old, new Map(old.map((set) => [set.metadata.uid ?? '', 0])))
    if (shrink.length > 0 || old.some((set) => podsRemain(view, set))) return shrink
  }
  const facts = (set: ReplicaSet): SetFacts => {
    const active = view.owned('Pod', set.metadata.uid ?? '').filter(isActive)
    const { available } = countPods(active, deployment.spec.minReadySeconds ?? 0, now)
    return { active: active.length, available }
  }
  if (!current) return createSet(view, deployment, { sets, facts })
  const revision = nextRevision(sets, current)
  const sizes = plannedSizes(deployment, { sets, current, facts })
  return annotate(deployment, current, revision) ?? resize(deployment, sets, sizes)
}

function createSet(
  view: View,
  deployment: Deployment,
  { sets, facts }: { sets: readonly ReplicaSet[]; facts: (set: ReplicaSet) => SetFacts },
): readonly Write[] {
  const { wanted, maxTotal } = limitsOf(deployment)
  const others = sets.reduce((sum, old) => sum + Math.max(old.spec.replicas ?? 0, facts(old).active), 0)
  const isTaken = (name: string) =>
    view.get('ReplicaSet', deployment.metadata.namespace ?? '', name) !== undefined
  // A new ReplicaSet starts as large as there is room.
  const replicas = Math.max(0, Math.min(wanted, maxTotal - others))
  const set = replicaSetFor(deployment, isTaken, { revision: nextRevision(sets, undefined), replicas })
  const why = `Deployment "${deployment.metadata.name}" has a template that no ReplicaSet of it has`
  return [{ verb: 'create', object: set, why }, scaled(deployment, set.metadata.name ?? '', 0, replicas)]
}

/** Recreate waits until no pod of an older template is left, those that are still ending included. */
function podsRemain(view: View, set: ReplicaSet): boolean {
  return view.owned('Pod', set.metadata.uid ?? '').some((pod) => !isFinished(pod))
}

function resize(
  deployment: Deployment,
  sets: readonly ReplicaSet[],
  sizes: ReadonlyMap<string, number>,
): Write[] {
  return sets.flatMap((set): Write[] => {
    const { name = '', uid = '' } = set.metadata
    const before = set.spec.replicas ?? 0
    const after = sizes.get(uid) ?? before
    const sized = { ...set, spec: { ...set.spec, replicas: after } }
    const marked = before > 0 || after > 0 ? noteSize(deployment, sized) : sized
    if (before === after && marked === sized) return []
    const why = `Deployment "${deployment.metadata.name}" wants ${after} pods of this template`
    const update: Write = { verb: 'update', object: marked, why }
    return before === after ? [update] : [update, scaled(deployment, name, before, after)]
  })
}

function scaled(deployment: Deployment, name: string, before: number, after: number): Write {
  const message = `Scaled ${after >= before ? 'up' : 'down'} replica set ${name} from ${before} to ${after}`
  return { verb: 'event', about: deployment, type: 'Normal', reason: 'ScalingReplicaSet', message, source }
}

function report(
  deployment: Deployment,
  sets: readonly ReplicaSet[],
  now: number,
): { writes: readonly Write[]; again?: number } {
  const { status, again, revision } = deploymentStatus(deployment, sets, now)
  const writes = statusUpdate(deployment, status, 'its replica sets changed')
  const before = deployment.metadata.annotations?.[revisionAnnotation]
  if (revision === undefined || before === revision)
    return again === undefined ? { writes } : { writes, again }
  const annotations = { ...deployment.metadata.annotations, [revisionAnnotation]: revision }
  const object = { ...deployment, metadata: { ...deployment.metadata, annotations } }
  // The status follows when this is seen: two updates of one version would conflict.
  return { writes: [{ verb: 'update', object, why: `it is at revision ${revision}` }] }
}

/** Old, empty ReplicaSets beyond the history limit go, once the rollout is complete. */
function cleanUp(
  deployment: Deployment,
  sets: readonly ReplicaSet[],
  current: ReplicaSet | undefined,
): Write[] {
  const status = deployment.status
  const wanted = deployment.spec.replicas ?? 1
  const complete =
    current !== undefined &&
    status?.updatedReplicas === wanted &&
    status.replicas === wanted &&
    status.availableReplicas === wanted &&
    status.observedGeneration === deployment.metadata.generation
  if (!complete && wanted > 0) return []
  const empty = sets.filter(
    (set) =>
      set !== current && !set.spec.replicas && !set.status?.replicas && !set.metadata.deletionTimestamp,
  )
  const surplus = empty.length - (deployment.spec.revisionHistoryLimit ?? 10)
  if (surplus <= 0) return []
  const oldest = [...empty].sort((a, b) => revisionOf(a) - revisionOf(b)).slice(0, surplus)
  return oldest.map((set) => deletion(set, 'it is beyond the revision history limit'))
}

function ofPod(view: View, pod: KubeObject): readonly Key[] {
  return ownerOrSelecting(view, 'ReplicaSet', pod).flatMap(({ namespace, name }) => {
    const set = view.get('ReplicaSet', namespace, name)
    return set ? ownerOrSelecting(view, 'Deployment', set) : []
  })
}
