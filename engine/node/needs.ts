import { selects } from '../object/selector.ts'
import type { Deployment, Pod, StatefulSet } from '../object/types.generated.ts'

/** On a pod: names of workloads, with commas between, that must be ready before it starts. */
const needsAnnotation = 'berth.dev/needs'

export interface NeedsContext {
  /** Deployments and StatefulSets of a name in the pod's namespace. */
  readonly workloads: (name: string) => readonly (Deployment | StatefulSet)[]
  /** All pods of the namespace. */
  readonly pods: () => readonly Pod[]
  /** Whether a pod was seen to be ready since berth started: what was reported before says nothing after a boot. */
  readonly isReady: (pod: Pod) => boolean
}

/**
 * The workloads that a pod waits for. The release engine keeps this order when it installs; after a restart of the
 * machine all pods are there at once, and the node keeps it. A name that no workload has is not waited for: nothing
 * would ever end that.
 */
export function unmetNeeds(pod: Pod, context: NeedsContext): readonly string[] {
  const text = pod.metadata.annotations?.[needsAnnotation] ?? ''
  const names = text.split(',').map((name) => name.trim())
  return names.filter((name) => name !== '' && context.workloads(name).some((one) => !isReady(one, context)))
}

function isReady({ spec }: Deployment | StatefulSet, { pods, isReady }: NeedsContext): boolean {
  const wanted = spec.replicas ?? 1
  if (wanted === 0) return true
  const ready = pods().filter((pod) => selects(spec.selector, pod.metadata.labels) && isReady(pod))
  return ready.length >= wanted
}
