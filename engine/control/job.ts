import { withCondition } from '../object/conditions.ts'
import { timeMs, timeText } from '../object/meta.ts'
import type { Job, JobCondition, JobStatus, Pod } from '../object/types.generated.ts'
import {
  type Controller,
  type Decision,
  decide,
  deletion,
  earlier,
  type Key,
  keyOf,
  nothing,
  statusUpdate,
  type Write,
} from './decision.ts'
import { indexOf, parseIndexes, podForJob, textOfIndexes, trackingFinalizer } from './job-pod.ts'
import { isActive, isReady } from './pods.ts'
import type { View } from './view.ts'

const source = 'job-controller'
const backoffMs = 10_000
const longestBackoffMs = 600_000

/** Runs pods until enough have succeeded, or too many failed, or the deadline has passed. */
export const jobController: Controller = {
  name: source,
  reconcile,
  affected(_, object): readonly Key[] {
    if (object.kind === 'Job') return [keyOf(object)]
    const owner = object.metadata.ownerReferences?.find((reference) => reference.controller)
    if (object.kind !== 'Pod' || owner?.kind !== 'Job') return []
    return [{ kind: 'Job', namespace: object.metadata.namespace ?? '', name: owner.name }]
  },
}

function reconcile(view: View, key: Key, now: number): Decision {
  const job = view.get('Job', key.namespace, key.name)
  if (!job || job.metadata.deletionTimestamp) return nothing
  const pods = view.owned('Pod', job.metadata.uid ?? '')
  if (isOver(job)) return expire(job, pods, now)
  const counted = count(job, pods)
  const verdict = judge(job, pods, counted, now)
  // A pod's finalizer goes only after its end is in a stored status, so that no end is lost or counted twice.
  const seen = new Set([
    ...(job.status?.uncountedTerminatedPods?.succeeded ?? []),
    ...(job.status?.uncountedTerminatedPods?.failed ?? []),
  ])
  const untrack = pods.filter((pod) => seen.has(pod.metadata.uid ?? '')).flatMap(untracked)
  const active = pods.filter(isActive)
  const { writes, again } = verdict.end
    ? {
        writes: active.map((pod) =>
          deletion(
            pod,
            `the job ${verdict.end?.type === 'Complete' ? 'is complete' : 'failed'}`,
            announce(job),
          ),
        ),
        again: undefined,
      }
    : steer(job, active, counted, now)
  const status = statusUpdate(job, statusOf(job, pods, counted, verdict, now), 'its pods changed')
  return decide([...status, ...untrack, ...writes], earlier(again, verdict.again))
}

interface Counted {
  readonly succeeded: number
  readonly failed: number
  readonly indexes: ReadonlySet<number>
  readonly uncounted: { readonly succeeded: readonly string[]; readonly failed: readonly string[] }
  readonly lastFailure: number | undefined
}

/** Ends so far: those in the status, and those of pods that still carry the finalizer and are not in it yet. */
function count(job: Job, pods: readonly Pod[]): Counted {
  const before = job.status?.uncountedTerminatedPods ?? {}
  const tracked = pods.filter((pod) => pod.metadata.finalizers?.includes(trackingFinalizer))
  const ends = (succeeded: boolean) =>
    tracked.filter((pod) => hasEnded(pod) && (pod.status?.phase === 'Succeeded') === succeeded)
  const uids = (list: readonly Pod[]) => list.map((pod) => pod.metadata.uid ?? '')
  const fresh = (list: readonly Pod[], old: readonly string[] | undefined) =>
    list.filter((pod) => !old?.includes(pod.metadata.uid ?? ''))
  const [succeeded, failed] = [ends(true), ends(false)]
  const indexes = new Set([
    ...parseIndexes(job.status?.completedIndexes),
    ...succeeded.flatMap((pod) => indexOf(pod) ?? []),
  ])
  const indexed = job.spec.completionMode === 'Indexed'
  const failures = pods.filter((pod) => pod.status?.phase === 'Failed').map(endTime)
  return {
    succeeded: indexed
      ? indexes.size
      : (job.status?.succeeded ?? 0) + fresh(succeeded, before.succeeded).length,
    failed: (job.status?.failed ?? 0) + fresh(failed, before.failed).length,
    indexes,
    uncounted: { succeeded: uids(succeeded), failed: uids(failed) },
    lastFailure: failures.length > 0 ? Math.max(...failures) : undefined,
  }
}

/** A pod that is deleted before it ended counts as failed. */
function hasEnded(pod: Pod): boolean {
  return !isActive(pod)
}

function endTime(pod: Pod): number {
  const ends = (pod.status?.containerStatuses ?? []).map(
    (status) => timeMs(status.state?.terminated?.finishedAt) ?? 0,
  )
  return Math.max(0, ...ends)
}

interface Verdict {
  readonly end?: { readonly type: 'Complete' | 'Failed'; readonly reason: string; readonly message: string }
  readonly again?: number
}

function judge(job: Job, pods: readonly Pod[], counted: Counted, now: number): Verdict {
  const { backoffLimit = 6, activeDeadlineSeconds, completions } = job.spec
  const target = job.status?.conditions?.find(
    (c) => c.status === 'True' && (c.type === 'FailureTarget' || c.type === 'SuccessCriteriaMet'),
  )
  if (target) {
    const type = target.type === 'FailureTarget' ? 'Failed' : 'Complete'
    return { end: { type, reason: target.reason ?? '', message: target.message ?? '' } }
  }
  const failedStays = job.spec.template.spec?.restartPolicy === 'OnFailure'
  const restarts = pods.filter(isActive).reduce((sum, pod) => sum + restartsOf(pod), 0)
  if (counted.failed > backoffLimit || (failedStays && restarts > 0 && restarts >= backoffLimit)) {
    return {
      end: {
        type: 'Failed',
        reason: 'BackoffLimitExceeded',
        message: 'Job has reached the specified backoff limit',
      },
    }
  }
  const start = timeMs(job.status?.startTime) ?? now
  const deadline = activeDeadlineSeconds === undefined ? undefined : start + activeDeadlineSeconds * 1000
  if (deadline !== undefined && now >= deadline && !job.spec.suspend) {
    return {
      end: {
        type: 'Failed',
        reason: 'DeadlineExceeded',
        message: 'Job was active longer than specified deadline',
      },
    }
  }
  const active = pods.filter(isActive).length
  const complete =
    completions === undefined ? counted.succeeded > 0 && active === 0 : counted.succeeded >= completions
  if (complete) {
    const message = 'Reached expected number of succeeded pods'
    return { end: { type: 'Complete', reason: 'CompletionsReached', message } }
  }
  return deadline === undefined ? {} : { again: deadline }
}

function restartsOf(pod: Pod): number {
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])]
  return statuses.reduce((sum, status) => sum + status.restartCount, 0)
}

/** Starts what is missing, after the back-off; gives up what is too much. */
function steer(
  job: Job,
  active: readonly Pod[],
  counted: Counted,
  now: number,
): { writes: Write[]; again: number | undefined } {
  const { parallelism = 1, completions, suspend } = job.spec
  const left =
    completions === undefined
      ? counted.succeeded > 0
        ? active.length
        : parallelism
      : completions - counted.succeeded
  const wanted = suspend ? 0 : Math.max(0, Math.min(parallelism, left))
  if (active.length > wanted) {
    const surplus = [...active]
      .sort((a, b) => Number(isReady(a)) - Number(isReady(b)))
      .slice(0, active.length - wanted)
    const why = suspend ? 'the job is suspended' : `the job wants ${wanted} pods`
    return { writes: surplus.map((pod) => deletion(pod, why, announce(job))), again: undefined }
  }
  if (active.length === wanted) return { writes: [], again: undefined }
  if (counted.failed > 0 && counted.lastFailure !== undefined) {
    const next = counted.lastFailure + Math.min(longestBackoffMs, backoffMs * 2 ** (counted.failed - 1))
    if (next > now) return { writes: [], again: next }
  }
  const why = `the job has ${active.length} of ${wanted} pods`
  const taken = new Set([...counted.indexes, ...active.flatMap((pod) => indexOf(pod) ?? [])])
  const free = Array.from({ length: completions ?? 0 }, (_, i) => i).filter((i) => !taken.has(i))
  const writes = Array.from({ length: wanted - active.length }, (_, i): Write => {
    const index = job.spec.completionMode === 'Indexed' ? free[i] : undefined
    return { verb: 'create', object: podForJob(job, index), why, ...announce(job) }
  })
  return { writes, again: undefined }
}

function statusOf(
  job: Job,
  pods: readonly Pod[],
  counted: Counted,
  { end }: Verdict,
  now: number,
): JobStatus {
  const active = pods.filter(isActive)
  const terminating = pods.filter(
    (pod) =>
      pod.metadata.deletionTimestamp && pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed',
  )
  const { startTime, ...before } = job.status ?? {}
  const started = job.spec.suspend ? undefined : (startTime ?? timeText(now))
  const uncounted =
    counted.uncounted.succeeded.length + counted.uncounted.failed.length > 0 ? counted.uncounted : {}
  const gone =
    end !== undefined && active.length === 0 && terminating.length === 0 && uncounted !== counted.uncounted
  return {
    ...before,
    ...(started === undefined ? {} : { startTime: started }),
    active: active.length,
    ready: active.filter(isReady).length,
    terminating: terminating.length,
    succeeded: counted.succeeded,
    failed: counted.failed,
    uncountedTerminatedPods: uncounted,
    ...(job.spec.completionMode === 'Indexed' ? { completedIndexes: textOfIndexes(counted.indexes) } : {}),
    ...(gone && end?.type === 'Complete'
      ? { completionTime: job.status?.completionTime ?? timeText(now) }
      : {}),
    conditions: conditionsOf(job, end, gone, now),
  }
}

/** First the target, while pods end and are counted; then the end itself. */
function conditionsOf(job: Job, end: Verdict['end'], gone: boolean, now: number): readonly JobCondition[] {
  let all = job.status?.conditions ?? []
  if (job.spec.suspend || all.some((condition) => condition.type === 'Suspended')) {
    const state = job.spec.suspend
      ? { status: 'True', reason: 'JobSuspended', message: 'Job suspended' }
      : { status: 'False', reason: 'JobResumed', message: 'Job resumed' }
    all = withCondition<JobCondition>(all, { type: 'Suspended', ...state }, now)
  }
  if (!end) return all
  const rest = { status: 'True', reason: end.reason, message: end.message }
  const target = end.type === 'Failed' ? 'FailureTarget' : 'SuccessCriteriaMet'
  all = withCondition<JobCondition>(all, { type: target, ...rest }, now)
  return gone ? withCondition<JobCondition>(all, { type: end.type, ...rest }, now) : all
}

function isOver(job: Job): boolean {
  return (
    job.status?.conditions?.some(
      (c) => c.status === 'True' && (c.type === 'Complete' || c.type === 'Failed'),
    ) ?? false
  )
}

/** A job that is over lets go of its pods, and itself goes after `ttlSecondsAfterFinished`. */
function expire(job: Job, pods: readonly Pod[], now: number): Decision {
  const writes = pods.flatMap(untracked)
  const ttl = job.spec.ttlSecondsAfterFinished
  if (ttl === undefined) return decide(writes)
  const end = job.status?.conditions?.find((c) => c.type === 'Complete' || c.type === 'Failed')
  const expiry = (timeMs(end?.lastTransitionTime) ?? now) + ttl * 1000
  if (expiry > now) return decide(writes, expiry)
  return decide([...writes, deletion(job, `it ended ${ttl}s ago`, { propagation: 'Background' })])
}

function untracked(pod: Pod): Write[] {
  const finalizers = pod.metadata.finalizers ?? []
  if (!finalizers.includes(trackingFinalizer)) return []
  const metadata = { ...pod.metadata, finalizers: finalizers.filter((name) => name !== trackingFinalizer) }
  return [{ verb: 'update', object: { ...pod, metadata }, why: 'its end is counted' }]
}

function announce(job: Job) {
  return { announce: { about: job, source } }
}
