import { BerthError, messageOf } from '../../base/error.ts'
import type { Clock } from '../../base/host/clock.ts'
import type { HookDeletePolicy } from '../../template/hooks.ts'
import { type Cascade, type Cluster, type ObjectRef, objectName, refOf } from '../cluster.ts'
import { isKept, type Namespaced, objectsOf, owned } from '../objects.ts'
import type { Step } from '../plan.ts'
import type { RecordedHook, StoredRecord } from '../record.ts'
import type { Progress } from './progress.ts'
import type { Records } from './records.ts'
import { waitGone, waitPodsGone, waitReady } from './wait.ts'

/** What the steps of one operation work with. */
export interface StepContext {
  readonly cluster: Cluster
  readonly records: Records
  readonly clock: Clock
  readonly namespaced: Namespaced
  /** The revision at work; its hooks' runs are written into it. */
  stored: StoredRecord
  readonly onProgress: (progress: Progress) => void
}

type Executors = {
  readonly [K in Step['kind']]: (
    step: Extract<Step, { kind: K }>,
    context: StepContext,
    signal: AbortSignal,
  ) => Promise<void>
}

/** All effects of a release, one for each kind of step. */
const executors: Executors = {
  async apply({ objects }, context, signal) {
    const { record, journal } = context.stored
    for (const object of objects) {
      const force = journal?.options.forceConflicts ?? false
      await context.cluster.apply(owned(object, record), { force }, signal).catch((error: unknown) => {
        throw new BerthError(
          error instanceof BerthError ? error.code : 'INTERNAL',
          `Cannot apply ${object.kind} "${object.metadata.name}": ${messageOf(error)}`,
          {
            where: { file: 'cluster', path: objectName(refOf(object)) },
            ...(error instanceof BerthError && error.hint !== undefined ? { hint: error.hint } : {}),
            cause: error,
          },
        )
      })
      context.onProgress({ type: 'applied', object: objectName(refOf(object)) })
    }
  },

  async ready({ objects }, context, signal) {
    await waitReady(objects, { ...waitOptions(context), jobs: true }, signal)
  },

  async wait({ objects }, context, signal) {
    await waitReady(objects, waitOptions(context), signal)
  },

  async prune({ refs }, context, signal) {
    for (const ref of refs) {
      // The chart's author may have said "keep" on the live object only.
      const live = await context.cluster.get(ref, signal)
      if (!live || isKept(live)) continue
      await removeOne(ref, context, signal)
    }
  },

  async remove({ refs }, context, signal) {
    for (const ref of refs) await removeOne(ref, context, signal, cascadeOf(context))
  },

  async gone({ refs }, context, signal) {
    const options = waitOptions(context)
    await waitGone(refs, options, signal)
    if (cascadeOf(context) !== 'orphan') await waitPodsGone(refs, options, signal)
  },

  async hook({ hook, event }, context, signal) {
    const objects = hookObjects(hook, context)
    const policies = policiesOf(hook)
    if (policies.includes('before-hook-creation')) await removeHook(hook, context, signal)
    const startedAt = new Date(context.clock.now()).toISOString()
    await recordRun(hook, { started_at: startedAt, phase: 'Running' }, context, signal)
    const object = `${hook.kind}/${hook.name}`
    context.onProgress({ type: 'hook', object, event, phase: 'Running' })
    const run = async (phase: 'Succeeded' | 'Failed') => {
      context.onProgress({ type: 'hook', object, event, phase })
      await recordRun(
        hook,
        { started_at: startedAt, completed_at: new Date(context.clock.now()).toISOString(), phase },
        context,
        signal,
      )
    }
    try {
      for (const one of objects) await context.cluster.apply(one, { force: true }, signal)
      const runs = objects.filter(({ kind }) => kind === 'Job' || kind === 'Pod')
      await waitDone(runs.map(refOf), context, signal)
    } catch (error) {
      if (signal.aborted) throw error
      await run('Failed')
      if (policies.includes('hook-failed')) await removeHook(hook, context, signal)
      throw new BerthError(
        error instanceof BerthError ? error.code : 'INTERNAL',
        `failed ${event}: hook ${hook.kind} "${hook.name}": ${messageOf(error)}`,
        { where: { file: hook.path, path: `${hook.kind}/${hook.name}` }, cause: error },
      )
    }
    await run('Succeeded')
  },

  async 'hook-clean'({ hooks }, context, signal) {
    for (const hook of hooks)
      if (policiesOf(hook).includes('hook-succeeded')) await removeHook(hook, context, signal)
  },

  async supersede(_step, context, signal) {
    const { record } = context.stored
    const all = await context.records.list({ namespace: record.namespace, release: record.name }, signal)
    for (const other of all) {
      if (other.record.version === record.version) continue
      const { status } = other.record.info
      // What an earlier process left unfinished is over too, now that this revision is complete.
      const info =
        status === 'deployed'
          ? { ...other.record.info, status: 'superseded' as const }
          : status.startsWith('pending-') || other.journal !== undefined
            ? {
                ...other.record.info,
                status: 'failed' as const,
                description: 'Interrupted, and followed by another operation',
              }
            : undefined
      if (info)
        await context.records.update(
          { ...other, record: { ...other.record, info }, journal: undefined },
          signal,
        )
    }
  },

  async trim(_step, context, signal) {
    const { record, journal } = context.stored
    const all = await context.records.list({ namespace: record.namespace, release: record.name }, signal)
    const limit = journal?.options.historyMax ?? 0
    const spare = all.filter(
      (other) => other.record.version !== record.version && other.record.info.status !== 'deployed',
    )
    for (const old of spare.slice(0, Math.max(0, all.length - limit)))
      await context.records.remove(old, signal)
  },

  async purge(_step, context, signal) {
    const { record } = context.stored
    const all = await context.records.list({ namespace: record.namespace, release: record.name }, signal)
    for (const old of all)
      if (old.record.version !== record.version) await context.records.remove(old, signal)
  },
}

/** Runs one step. */
export async function execute(step: Step, context: StepContext, signal: AbortSignal): Promise<void> {
  // The table's type holds that each kind has its executor; TypeScript cannot follow the lookup.
  const run = executors[step.kind] as (step: Step, context: StepContext, signal: AbortSignal) => Promise<void>
  await run(step, context, signal)
}

function waitOptions(context: StepContext) {
  const { cluster, clock, stored, onProgress } = context
  return {
    cluster,
    clock,
    timeoutMs: stored.journal?.options.timeoutMs ?? 300_000,
    jobs: stored.journal?.options.waitForJobs ?? false,
    onState: (object: string, { state, reason }: { state: 'ready' | 'waiting' | 'failed'; reason: string }) =>
      onProgress({ type: 'state', object, state, reason }),
  }
}

function cascadeOf({ stored }: StepContext): Cascade {
  return stored.journal?.options.cascade ?? 'background'
}

async function removeOne(
  ref: ObjectRef,
  context: StepContext,
  signal: AbortSignal,
  cascade: Cascade = 'background',
): Promise<void> {
  await context.cluster.remove(ref, { cascade }, signal)
  context.onProgress({ type: 'removed', object: objectName(ref) })
}

/** A hook without a policy goes before it is made again: Helm's default. */
function policiesOf(hook: RecordedHook): readonly HookDeletePolicy[] {
  return hook.delete_policies?.length ? hook.delete_policies : ['before-hook-creation']
}

function hookObjects(hook: RecordedHook, { stored, namespaced }: StepContext) {
  return objectsOf(hook.manifest, stored.record.namespace, namespaced)
}

async function removeHook(hook: RecordedHook, context: StepContext, signal: AbortSignal): Promise<void> {
  // Removing a definition removes all objects of its kind: never done for a hook.
  const refs = hookObjects(hook, context)
    .filter(({ kind }) => kind !== 'CustomResourceDefinition')
    .map(refOf)
  for (const ref of refs) await context.cluster.remove(ref, { cascade: 'background' }, signal)
  await waitGone(refs, waitOptions(context), signal)
}

async function waitDone(
  refs: readonly ObjectRef[],
  context: StepContext,
  signal: AbortSignal,
): Promise<void> {
  const jobs = refs.filter(({ kind }) => kind === 'Job')
  await waitReady(jobs, { ...waitOptions(context), jobs: true }, signal)
  for (const ref of refs.filter(({ kind }) => kind === 'Pod')) await waitPodDone(ref, context, signal)
}

/** A hook's pod is done when it has succeeded; running is not enough. */
async function waitPodDone(ref: ObjectRef, context: StepContext, signal: AbortSignal): Promise<void> {
  const asJob = {
    get: async (asked: ObjectRef, s: AbortSignal) => {
      const live = await context.cluster.get(asked, s)
      const phase = (live?.status as { phase?: string } | undefined)?.phase
      if (!live || phase === 'Succeeded' || phase === 'Failed') return live
      return { ...live, status: { phase: phase ?? 'Pending' } }
    },
    list: context.cluster.list.bind(context.cluster),
  }
  await waitReady([ref], { ...waitOptions(context), cluster: asJob, jobs: true }, signal)
}

async function recordRun(
  hook: RecordedHook,
  lastRun: RecordedHook['last_run'],
  context: StepContext,
  signal: AbortSignal,
): Promise<void> {
  const { stored } = context
  const hooks = (stored.record.hooks ?? []).map((one) =>
    one.path === hook.path && one.name === hook.name && one.kind === hook.kind
      ? { ...one, last_run: lastRun }
      : one,
  )
  context.stored = { ...stored, record: { ...stored.record, hooks } }
  await context.records.update(context.stored, signal)
}
