import { scaledValue } from '../object/int-or-string.ts'
import type { Deployment, ReplicaSet } from '../object/types.generated.ts'

/** How many pods there may be and must be while a Deployment changes. */
export interface Limits {
  readonly wanted: number
  readonly maxTotal: number
  readonly minAvailable: number
}

/**
 * The limits of a Deployment's strategy. Of 4 replicas with 25% and 25%: at most 5 pods, at least 3 available. Where both
 * percentages round to nothing, one pod may be missing, else nothing could ever move.
 */
export function limitsOf({ spec }: Deployment): Limits {
  const wanted = spec.replicas ?? 1
  if (spec.strategy?.type === 'Recreate') return { wanted, maxTotal: wanted, minAvailable: 0 }
  const surge = scaledValue(spec.strategy?.rollingUpdate?.maxSurge ?? '25%', wanted, 'up')
  const missing = scaledValue(spec.strategy?.rollingUpdate?.maxUnavailable ?? '25%', wanted, 'down')
  const maxUnavailable = Math.min(surge === 0 && missing === 0 ? 1 : missing, wanted)
  return { wanted, maxTotal: wanted === 0 ? 0 : wanted + surge, minAvailable: wanted - maxUnavailable }
}

/** What is seen of a ReplicaSet's pods: how many there are that are not ending, and how many of them are available. */
export interface SetFacts {
  readonly active: number
  readonly available: number
}

/**
 * The sizes of all ReplicaSets, by uid, one step further in the rollout to `current`: it grows as far as the surge lets it;
 * the others, oldest first, shrink, unhealthy pods first, as far as availability lets them.
 */
export function plannedSizes(
  deployment: Deployment,
  {
    sets,
    current,
    facts,
  }: { sets: readonly ReplicaSet[]; current: ReplicaSet; facts: (set: ReplicaSet) => SetFacts },
): ReadonlyMap<string, number> {
  const limits = limitsOf(deployment)
  // A pod that is to go is still there until its ReplicaSet has given it up.
  const present = sum(sets, (set) => Math.max(size(set), facts(set).active))
  const room = Math.max(0, limits.maxTotal - present)
  const next = Math.min(limits.wanted, size(current) + room)
  // One thing at a time: shrinking is planned from what is seen after growing.
  if (next !== size(current)) return new Map([[uidOf(current), next]])
  return shrunkSizes(sets, { current, facts, limits })
}

/**
 * Shrinks old sets. Worked example: 10 wanted, 2 may be missing, surge 3: old 8 (all available), new 5 (none available yet):
 * 13 - 8 - 5 = 0 may go. When 2 of the new are available, 13 - 8 - 3 = 2 may.
 */
function shrunkSizes(
  sets: readonly ReplicaSet[],
  { current, facts, limits }: { current: ReplicaSet; facts: (set: ReplicaSet) => SetFacts; limits: Limits },
): ReadonlyMap<string, number> {
  const available = (set: ReplicaSet) => Math.min(size(set), facts(set).available)
  let mayGo = sum(sets, size) - limits.minAvailable - (size(current) - available(current))
  const old = sets.filter((set) => set !== current)
  const sizes = new Map<string, number>()
  // What is not available is missed by nobody.
  for (const set of old) {
    const goes = Math.min(Math.max(0, mayGo), size(set) - available(set))
    sizes.set(uidOf(set), size(set) - goes)
    mayGo -= goes
  }
  let spare = Math.min(mayGo, sum(sets, available) - limits.minAvailable)
  for (const set of old) {
    const left = sizes.get(uidOf(set)) ?? 0
    const goes = Math.min(Math.max(0, spare), left)
    sizes.set(uidOf(set), left - goes)
    spare -= goes
  }
  return sizes
}

/** Whether the Deployment was resized since its active sets were last sized: that comes before the rollout. */
export function isScalingEvent(deployment: Deployment, sets: readonly ReplicaSet[]): boolean {
  return sets
    .filter((set) => size(set) > 0)
    .some((set) => {
      const noted = set.metadata.annotations?.['deployment.kubernetes.io/desired-replicas']
      return noted !== undefined && Number(noted) !== (deployment.spec.replicas ?? 1)
    })
}

/**
 * The sizes after a change of the Deployment's size in the middle of a rollout, or while it is paused: the difference
 * is spread over the active sets in proportion, largest first, the rest to the largest.
 */
export function proportionalSizes(
  deployment: Deployment,
  sets: readonly ReplicaSet[],
): ReadonlyMap<string, number> {
  const limits = limitsOf(deployment)
  const active = sets.filter((set) => size(set) > 0).sort((a, b) => size(b) - size(a))
  const [first] = active
  if (active.length === 0) {
    const latest = [...sets].sort((a, b) => revision(b) - revision(a))[0]
    return new Map(latest && deployment.spec.paused !== true ? [[uidOf(latest), limits.wanted]] : [])
  }
  if (active.length === 1 && first) return new Map([[uidOf(first), limits.wanted]])
  const total = sum(active, size)
  const allowed = limits.wanted > 0 ? limits.maxTotal : 0
  const difference = allowed - total
  const sizes = new Map(active.map((set) => [uidOf(set), size(set)]))
  let left = difference
  for (const set of active) {
    const share = Math.round((size(set) * allowed) / Math.max(1, notedMax(set) ?? total)) - size(set)
    const part = difference > 0 ? Math.max(0, Math.min(share, left)) : Math.min(0, Math.max(share, left))
    sizes.set(uidOf(set), size(set) + part)
    left -= part
  }
  if (first) sizes.set(uidOf(first), Math.max(0, (sizes.get(uidOf(first)) ?? 0) + left))
  return sizes
}

function notedMax(set: ReplicaSet): number | undefined {
  const text = set.metadata.annotations?.['deployment.kubernetes.io/max-replicas']
  return text === undefined ? undefined : Number(text)
}

function revision(set: ReplicaSet): number {
  return Number(set.metadata.annotations?.['deployment.kubernetes.io/revision'] ?? 0)
}

function size(set: ReplicaSet): number {
  return set.spec.replicas ?? 0
}

function uidOf(set: ReplicaSet): string {
  return set.metadata.uid ?? ''
}

function sum(sets: readonly ReplicaSet[], of: (set: ReplicaSet) => number): number {
  return sets.reduce((total, set) => total + of(set), 0)
}
