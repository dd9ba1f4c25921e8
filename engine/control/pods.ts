import { controllerReference, type KubeObject, timeMs } from '../object/meta.ts'
import { hasCondition } from '../object/pod-summary.ts'
import type { ObjectMeta, Pod, PodSpec, PodTemplateSpec } from '../object/types.generated.ts'

/** Whether a pod is neither done nor on its way out. */
export function isActive(pod: Pod): boolean {
  return !isFinished(pod) && pod.metadata.deletionTimestamp === undefined
}

/** Whether all containers of a pod ended for good. */
export function isFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
}

/** Whether a pod answers: its `Ready` condition. */
export function isReady(pod: Pod): boolean {
  return hasCondition(pod, 'Ready')
}

/** When a pod has been ready for `minReadySeconds`; undefined while it is not ready. */
export function availableAt(pod: Pod, minReadySeconds: number): number | undefined {
  const ready = pod.status?.conditions?.find((c) => c.type === 'Ready' && c.status === 'True')
  return ready && (timeMs(ready.lastTransitionTime) ?? 0) + minReadySeconds * 1000
}

/** The counts that workloads report of their pods, and when the next one becomes available. */
export function countPods(pods: readonly Pod[], minReadySeconds: number, now: number) {
  const times = pods.filter(isReady).map((pod) => availableAt(pod, minReadySeconds) ?? 0)
  const waiting = times.filter((time) => time > now)
  return {
    ready: times.length,
    available: times.length - waiting.length,
    again: waiting.length > 0 ? Math.min(...waiting) : undefined,
  }
}

/** A pod made from a workload's template, without a name. */
export function podFrom(
  owner: KubeObject,
  template: PodTemplateSpec,
  metadata: ObjectMeta,
  spec?: Partial<PodSpec>,
): Pod {
  const { labels, annotations, finalizers } = template.metadata ?? {}
  const base = template.spec ?? { containers: [] }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...metadata,
      namespace: owner.metadata.namespace ?? '',
      labels: { ...labels, ...metadata.labels },
      ...(annotations || metadata.annotations
        ? { annotations: { ...annotations, ...metadata.annotations } }
        : {}),
      ...(finalizers || metadata.finalizers
        ? { finalizers: [...(finalizers ?? []), ...(metadata.finalizers ?? [])] }
        : {}),
      ownerReferences: [controllerReference(owner)],
    },
    spec: { ...base, ...spec },
  }
}

const phaseRank: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 }

/** Comparisons that decide which pod goes first when a ReplicaSet shrinks: the one that is missed least. */
const ranking: readonly ((pod: Pod, restarts: number) => number)[] = [
  (pod) => (pod.spec.nodeName ? 1 : 0),
  (pod) => phaseRank[pod.status?.phase ?? 'Pending'] ?? 0,
  (pod) => (isReady(pod) ? 1 : 0),
  (pod) => Number(pod.metadata.annotations?.['controller.kubernetes.io/pod-deletion-cost'] ?? 0) || 0,
  // Ready for longer: earlier time, so negative.
  (pod) => -(availableAt(pod, 0) ?? 0),
  (_, restarts) => -restarts,
  (pod) => -(timeMs(pod.metadata.creationTimestamp) ?? 0),
]

/** Pods in the order in which they are given up; equal ones by name, so that the order is the same each time. */
export function byDeletionRank(pods: readonly Pod[]): readonly Pod[] {
  const ranked = pods.map((pod) => {
    const restarts = Math.max(
      0,
      ...(pod.status?.containerStatuses ?? []).map((status) => status.restartCount),
    )
    return { pod, ranks: ranking.map((rank) => rank(pod, restarts)) }
  })
  ranked.sort((a, b) => {
    const at = a.ranks.findIndex((rank, i) => rank !== b.ranks[i])
    const difference = at < 0 ? 0 : (a.ranks[at] ?? 0) - (b.ranks[at] ?? 0)
    return difference || ((a.pod.metadata.name ?? '') < (b.pod.metadata.name ?? '') ? -1 : 1)
  })
  return ranked.map(({ pod }) => pod)
}
