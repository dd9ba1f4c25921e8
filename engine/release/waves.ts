import { appAnnotations } from '../template/app/names.ts'
import type { ClusterObject } from './cluster.ts'

/** Objects to apply together, and what must be ready before. */
export interface Wave {
  /** Names of workloads of earlier waves that the objects of this one wait for. */
  readonly after: readonly string[]
  readonly objects: readonly ClusterObject[]
}

const workloadKinds = ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job', 'Pod']

/**
 * Cuts objects into waves by the annotations `needs`, `before` and `after`: first all that waits for nothing, then
 * what waits for that, and so on, the order in a wave as given. Without such annotations there is one wave.
 */
export function wavesOf(objects: readonly ClusterObject[]): Wave[] {
  const workloads = objects.filter(({ kind }) => workloadKinds.includes(kind))
  const known = new Map(workloads.map((object) => [object.metadata.name, object]))
  const needs = new Map(
    workloads.map((object) => [
      object,
      needsOf(object, workloads).filter((name) => known.has(name) && name !== object.metadata.name),
    ]),
  )
  const depths = new Map<ClusterObject, number>()
  const depthOf = (object: ClusterObject, trail: readonly ClusterObject[]): number => {
    const done = depths.get(object)
    if (done !== undefined) return done
    // Objects that wait for each other are applied together: nothing else would ever start.
    if (trail.includes(object)) return 0
    const below = (needs.get(object) ?? []).map((name) => {
      const other = known.get(name)
      return other ? depthOf(other, [...trail, object]) + 1 : 0
    })
    const depth = Math.max(0, ...below)
    depths.set(object, depth)
    return depth
  }
  const groups = Map.groupBy(objects, (object) => (needs.has(object) ? depthOf(object, []) : 0))
  return [...groups]
    .sort(([a], [b]) => a - b)
    .map(([depth, group]) => ({
      after: depth === 0 ? [] : [...new Set(group.flatMap((object) => needs.get(object) ?? []))],
      objects: group,
    }))
}

function needsOf(object: ClusterObject, workloads: readonly ClusterObject[]): string[] {
  const { name, annotations } = object.metadata
  const template = (object.spec as { template?: ClusterObject } | undefined)?.template
  const listed = template?.metadata?.annotations?.[appAnnotations.needs] ?? ''
  const after = annotations?.[appAnnotations.after]
  return [
    ...listed
      .split(',')
      .map((need) => need.trim())
      .filter((need) => need !== ''),
    ...(after === undefined ? [] : [after]),
    ...workloads
      .filter((other) => other.metadata.annotations?.[appAnnotations.before] === name)
      .map((other) => other.metadata.name),
  ]
}
