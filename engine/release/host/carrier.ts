import { BerthError, isBerthError, messageOf } from '../../base/error.ts'
import type { Clock } from '../../base/host/clock.ts'
import type { Cluster, ClusterObject } from '../cluster.ts'
import { objectsOf } from '../objects.ts'
import { planRelease } from '../plan.ts'
import type { Journal, JournalOptions, ReleaseRecord, Status, StoredRecord } from '../record.ts'
import { optionsOf } from '../requests.ts'
import { beforeOf, rollbackRecord, withInfo } from '../revisions.ts'
import { classify, type Operation, type Situation } from '../situation.ts'
import { scopesOf } from './prepare.ts'
import type { RunOptions } from './progress.ts'
import type { Records } from './records.ts'
import { execute, type StepContext } from './steps.ts'

/** Where a release stands now. */
export async function situationOf(
  records: Records,
  { name, namespace }: { name: string; namespace: string },
  signal: AbortSignal,
): Promise<Situation> {
  return classify(await records.list({ namespace, release: name }, signal))
}

/** Carries recorded operations to their end: from their beginning, or from where an earlier process left them. */
export class Carrier {
  readonly #cluster: Cluster
  readonly #clock: Clock
  readonly #records: Records

  constructor(cluster: Cluster, clock: Clock, records: Records) {
    this.#cluster = cluster
    this.#clock = clock
    this.#records = records
  }

  /** Runs the steps of a recorded operation that are not done yet, and records its end. */
  async carryOn(stored: StoredRecord, run: RunOptions): Promise<ReleaseRecord> {
    const { signal, onProgress = () => undefined } = run
    const { journal } = stored
    if (!journal) return stored.record
    try {
      const { record } = stored
      const situation = await situationOf(this.#records, record, signal)
      const older = beforeOf(situation, record.version)
      const hookText = (record.hooks ?? []).map((hook) => hook.manifest)
      const { namespaced, unknown } = await scopesOf(
        [record.manifest, ...older.map((one) => one.record.manifest), ...hookText],
        this.#cluster,
        signal,
      )
      // A kind that the API no longer has cannot have objects either: nothing to remove.
      const known = (object: ClusterObject) => !unknown.has(`${object.apiVersion} ${object.kind}`)
      const objects = objectsOf(record.manifest, record.namespace, namespaced)
      const steps = planRelease({
        operation: journal.operation,
        objects: journal.operation === 'uninstall' ? objects.filter(known) : objects,
        before: older
          .flatMap((one) => objectsOf(one.record.manifest, record.namespace, namespaced))
          .filter(known),
        hooks: record.hooks ?? [],
        options: journal.options,
      })
      const context: StepContext = {
        cluster: this.#cluster,
        records: this.#records,
        clock: this.#clock,
        namespaced,
        stored,
        onProgress,
      }
      const done = [...journal.done]
      for (const step of steps) {
        if (done.includes(step.id)) continue
        onProgress({ type: 'step', step: step.id, kind: step.kind })
        await execute(step, context, signal)
        done.push(step.id)
        context.stored = { ...context.stored, journal: { ...journal, done: [...done] } }
        await this.#records.update(context.stored, signal)
      }
      return await this.#finish(context.stored, journal, signal)
    } catch (error) {
      return this.#failed(stored, journal, error, run)
    }
  }

  async #finish(
    stored: StoredRecord,
    { operation, options }: Journal,
    signal: AbortSignal,
  ): Promise<ReleaseRecord> {
    const words: Readonly<Record<Operation, [Status, string]>> = {
      install: ['deployed', 'Install complete'],
      upgrade: ['deployed', 'Upgrade complete'],
      rollback: ['deployed', options.description],
      uninstall: ['uninstalled', 'Uninstallation complete'],
    }
    const [status, description] = words[operation]
    const complete = withInfo(
      { ...stored, journal: undefined },
      { status, description: options.description || description },
    )
    if (operation === 'uninstall' && !options.keepHistory) await this.#records.remove(complete, signal)
    else await this.#records.update(complete, signal)
    return complete.record
  }

  /** Records a failure, undoes it when asked to, and throws. */
  async #failed(stored: StoredRecord, journal: Journal, error: unknown, run: RunOptions): Promise<never> {
    const { operation, options } = journal
    const { record } = stored
    // A daemon that stops leaves the journal as it is: the next one carries on.
    if (run.signal.aborted && !isBerthError(run.signal.reason, 'INTERRUPTED')) throw error
    const signal = run.signal.aborted ? AbortSignal.timeout(5000) : run.signal
    const cause = messageOf(run.signal.aborted ? run.signal.reason : error)
    // Whoever stops an operation decides what comes next.
    const follows =
      !run.signal.aborted &&
      options.rollbackOnFailure &&
      operation !== 'uninstall' &&
      operation !== 'rollback'
    const then = operation === 'install' ? 'uninstall' : 'rollback'
    const latest = (
      await this.#records.list({ namespace: record.namespace, release: record.name }, signal)
    ).find((one) => one.record.version === record.version)
    const words =
      operation === 'install'
        ? `Release "${record.name}" failed: ${cause}`
        : `${titles[operation]} "${record.name}" failed: ${cause}`
    const failed = withInfo(
      { ...(latest ?? stored), journal: follows ? { ...journal, then } : undefined },
      operation === 'uninstall' ? {} : { status: 'failed', description: words },
    )
    await this.#records.update(failed, signal)
    if (!follows) throw run.signal.aborted ? run.signal.reason : failure(error, operation, record.name)
    await this.undo(failed, then, { ...run, signal })
    throw new BerthError(
      isBerthError(error) ? error.code : 'INTERNAL',
      `release ${record.name} failed, and has been ${then === 'uninstall' ? 'uninstalled' : 'rolled back'} due to rollback-on-failure being set: ${cause}`,
      { cause: error, ...(isBerthError(error) && error.where ? { where: error.where } : {}) },
    )
  }

  /** Undoes a failed revision: a first install goes, an upgrade is rolled back. */
  async undo(failed: StoredRecord, then: 'uninstall' | 'rollback', run: RunOptions): Promise<void> {
    const { record } = failed
    const options: JournalOptions = {
      ...optionsOf({ ...record, ...(failed.journal ? { options: failed.journal.options } : {}) }),
      rollbackOnFailure: false,
      description: '',
      keepHistory: false,
    }
    if (then === 'uninstall') {
      const begun = withInfo(
        { ...failed, journal: { operation: 'uninstall', done: [], options } },
        { status: 'uninstalling' },
      )
      await this.#records.update(begun, run.signal)
      await this.carryOn(begun, run)
      return
    }
    const situation = await situationOf(this.#records, record, run.signal)
    const good = situation.history.findLast(
      (one) =>
        one.record.version < record.version && ['deployed', 'superseded'].includes(one.record.info.status),
    )
    // Somebody already went on from the failed revision, perhaps this engine before it ended.
    if (situation.last && situation.last.record.version > record.version) {
      await this.#records.update({ ...failed, journal: undefined }, run.signal)
      return
    }
    if (!good)
      throw new BerthError(
        'NOT_FOUND',
        `Cannot roll back "${record.name}": unable to find a previously successful release`,
      )
    const stored = rollbackRecord(
      { name: record.name, namespace: record.namespace, version: good.record.version, options },
      situation,
      new Date(this.#clock.now()).toISOString(),
    )
    await this.#records.create(stored, run.signal)
    await this.#records.update({ ...failed, journal: undefined }, run.signal)
    await this.carryOn(stored, run)
  }
}

/** A failure with the command that it ended, and what to do next. */
function failure(error: unknown, operation: Operation, release: string): unknown {
  if (!isBerthError(error) || error.message.startsWith('Cannot')) return error
  const { code, message, hint, where, details, cause } = error
  const verb = operation === 'rollback' ? 'roll back' : operation
  const next: Readonly<Record<Operation, string>> = {
    install: `berth status ${release} shows its pods, berth uninstall ${release} undoes it`,
    upgrade: `berth status ${release} shows its pods, berth rollback ${release} undoes it`,
    rollback: `berth status ${release} shows its pods, berth history ${release} its revisions`,
    uninstall: `berth uninstall ${release} carries on`,
  }
  return new BerthError(code, `Cannot ${verb} release "${release}": ${message}`, {
    hint: hint ?? next[operation],
    ...(where && { where }),
    ...(details && { details }),
    cause,
  })
}

const titles: Readonly<Record<Operation, string>> = {
  install: 'Install',
  upgrade: 'Upgrade',
  rollback: 'Rollback',
  uninstall: 'Uninstall',
}
