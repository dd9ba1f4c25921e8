import { setTimeout as sleep } from 'node:timers/promises'
import { BerthError } from '../../base/error.ts'
import type { Clock } from '../../base/host/clock.ts'
import { type Cluster, type ClusterObject, type ObjectRef, objectName, refKey, refOf } from '../cluster.ts'
import { isOfWorkload, type PodObject, podTrouble } from '../pods.ts'
import { type Readiness, readinessOf } from '../readiness.ts'

/** Told when an object's state changes while it is waited for. */
export type OnState = (name: string, readiness: Readiness) => void

export interface WaitOptions {
  readonly cluster: Pick<Cluster, 'get' | 'list'>
  readonly clock: Clock
  readonly timeoutMs: number
  /** Jobs must be done, not only begun. */
  readonly jobs: boolean
  readonly onState?: OnState
}

/** First look after this time, then twice as long, up to the last: readiness is seen soon and asking stays cheap. */
const looks = { firstMs: 50, lastMs: 500 }

/**
 * Waits until all objects are ready. Throws `TIMEOUT` naming what is missing, with the pods' own reason as cause,
 * and `CONFLICT` for an object that failed for good.
 */
export async function waitReady(
  objects: readonly (ClusterObject | ObjectRef)[],
  options: WaitOptions,
  signal: AbortSignal,
): Promise<void> {
  const { cluster, clock, timeoutMs, jobs, onState } = options
  const deadline = clock.now() + timeoutMs
  const all = objects.map((object) =>
    'metadata' in object ? refOf(object as ClusterObject) : (object as ObjectRef),
  )
  let left = all
  const told = new Map<string, string>()
  for (let pause = looks.firstMs; ; pause = Math.min(pause * 2, looks.lastMs)) {
    const states = await Promise.all(
      left.map(async (ref) => {
        const live = await cluster.get(ref, signal)
        return { ref, live, readiness: readinessOf(live, { jobs }) }
      }),
    )
    for (const { ref, readiness } of states) {
      const text = `${readiness.state} ${readiness.reason}`
      if (told.get(refKey(ref)) !== text) onState?.(objectName(ref), readiness)
      told.set(refKey(ref), text)
    }
    const bad = states.find(({ readiness }) => readiness.state === 'failed')
    if (bad) throw await problem('CONFLICT', bad, { cluster, signal, after: '' })
    const waiting = states.filter(({ readiness }) => readiness.state !== 'ready')
    const [first] = waiting
    if (!first) {
      if (left.length === all.length) return
      // What was ready first may have failed since: all must be ready at the same time.
      left = all
      continue
    }
    if (clock.now() >= deadline)
      throw await problem('TIMEOUT', first, { cluster, signal, after: ` after ${durationText(timeoutMs)}` })
    left = waiting.map(({ ref }) => ref)
    await sleep(pause, undefined, { signal })
  }
}

/** Waits until no pod of the workloads is there: until then their containers may still run. */
export async function waitPodsGone(
  workloads: readonly ObjectRef[],
  options: WaitOptions,
  signal: AbortSignal,
): Promise<void> {
  const mine = new Set(workloads.map(objectName))
  for (const [namespace] of Map.groupBy(workloads, (ref) => ref.namespace ?? '')) {
    if (namespace === '') continue
    const pods = await options.cluster.list({ apiVersion: 'v1', kind: 'Pod', namespace }, signal)
    await waitGone(pods.filter((pod) => isOfWorkload(pod, mine)).map(refOf), options, signal)
  }
}

/** Waits until none of the objects is there. */
export async function waitGone(
  refs: readonly ObjectRef[],
  options: WaitOptions,
  signal: AbortSignal,
): Promise<void> {
  const deadline = options.clock.now() + options.timeoutMs
  let left = refs
  for (let pause = looks.firstMs; ; pause = Math.min(pause * 2, looks.lastMs)) {
    const found = await Promise.all(left.map((ref) => options.cluster.get(ref, signal)))
    left = left.filter((_, i) => found[i] !== undefined)
    const [first] = left
    if (!first) return
    if (options.clock.now() >= deadline)
      throw new BerthError(
        'TIMEOUT',
        `${objectName(first)} is still there after ${durationText(options.timeoutMs)}`,
      )
    await sleep(pause, undefined, { signal })
  }
}

async function problem(
  code: 'CONFLICT' | 'TIMEOUT',
  { ref, live, readiness }: { ref: ObjectRef; live: ClusterObject | undefined; readiness: Readiness },
  context: { cluster: Pick<Cluster, 'get' | 'list'>; signal: AbortSignal; after: string },
): Promise<BerthError> {
  const cause = live ? await podReason(live, context.cluster, context.signal) : undefined
  return new BerthError(code, `${ref.kind} "${ref.name}" ${readiness.reason}${context.after}`, {
    where: { file: 'cluster', path: objectName(ref) },
    ...(cause === undefined ? {} : { cause: new Error(cause) }),
  })
}

/** What the pods of a workload say of why they are not ready. */
async function podReason(
  workload: ClusterObject,
  cluster: Pick<Cluster, 'list'>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { namespace } = workload.metadata
  if (namespace === undefined) return undefined
  const mine = new Set([objectName(refOf(workload))])
  const pods = await cluster.list({ apiVersion: 'v1', kind: 'Pod', namespace }, signal).catch(() => [])
  for (const pod of pods.filter((one) => isOfWorkload(one, mine))) {
    const trouble = podTrouble(pod as PodObject)
    if (!trouble) continue
    const container = trouble.container === '' ? '' : `, container "${trouble.container}"`
    return `pod "${pod.metadata.name}"${container}: ${trouble.text}`
  }
  return undefined
}

/** `5m`, `90s`, `300ms`: a duration in words of one unit. */
function durationText(ms: number): string {
  if (ms >= 60_000 && ms % 60_000 === 0) return `${ms / 60_000}m`
  return ms >= 1000 ? `${Math.round(ms / 1000)}s` : `${ms}ms`
}
