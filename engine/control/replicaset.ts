import type { Pod, ReplicaSet, ReplicaSetStatus } from '../object/types.generated.ts'
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
import { byDeletionRank, countPods, isActive, podFrom } from './pods.ts'
import type { View } from './view.ts'

/** Pods made or given up in one round: the rest follows when these are seen. */
const burst = 500

/** Keeps as many pods as a ReplicaSet says. */
export const replicaSetController: Controller = {
  name: 'replicaset-controller',
  reconcile,
  affected(view, object): readonly Key[] {
    if (object.kind === 'ReplicaSet') return [keyOf(object)]
    return object.kind === 'Pod' ? ownerOrSelecting(view, 'ReplicaSet', object) : []
  },
}

function reconcile(view: View, key: Key, now: number): Decision {
  const set = view.get('ReplicaSet', key.namespace, key.name)
  if (!set) return nothing
  const { own, writes } = claim(set, set.spec.selector, view.list('Pod', key.namespace))
  const active = own.filter(isActive)
  const { ready, available, again } = countPods(active, set.spec.minReadySeconds ?? 0, now)
  const changes = set.metadata.deletionTimestamp ? [] : resize(set, active)
  const status: ReplicaSetStatus = {
    replicas: active.length,
    fullyLabeledReplicas: active.filter((pod) => hasLabels(pod, set)).length,
    readyReplicas: ready,
    availableReplicas: available,
    terminatingReplicas: own.filter((pod) => pod.metadata.deletionTimestamp).length,
    observedGeneration: set.metadata.generation ?? 0,
    ...(set.status?.conditions ? { conditions: set.status.conditions } : {}),
  }
  return decide([...writes, ...changes, ...statusUpdate(set, status, 'its pods changed')], again)
}

function resize(set: ReplicaSet, active: readonly Pod[]): Write[] {
  const wanted = set.spec.replicas ?? 1
  const missing = wanted - active.length
  const announce = { about: set, source: replicaSetController.name }
  if (missing > 0) {
    const template = set.spec.template ?? {}
    const pod = podFrom(set, template, { generateName: `${set.metadata.name}-` })
    const why = `ReplicaSet "${set.metadata.name}" has ${active.length} of ${wanted} pods`
    return Array.from({ length: Math.min(missing, burst) }, () => ({
      verb: 'create',
      object: pod,
      announce,
      why,
    }))
  }
  const why = `ReplicaSet "${set.metadata.name}" has ${active.length} pods and wants ${wanted}`
  return byDeletionRank(active)
    .slice(0, Math.min(-missing, burst))
    .map((pod) => deletion(pod, why, { announce }))
}

function hasLabels(pod: Pod, set: ReplicaSet): boolean {
  return Object.entries(set.spec.template?.metadata?.labels ?? {}).every(
    ([k, v]) => pod.metadata.labels?.[k] === v,
  )
}
