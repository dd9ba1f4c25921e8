import { BerthError } from '../../base/error.ts'
import type { Clock } from '../../base/host/clock.ts'
import type { Rendered } from '../../chart/render.ts'
import { type Cluster, type ClusterObject, refOf } from '../cluster.ts'
import { claimsKept, isKept, objectsOf } from '../objects.ts'
import {
  type JournalOptions,
  type RecordedHook,
  type ReleaseRecord,
  recordChart,
  type StoredRecord,
} from '../record.ts'
import {
  type InstallRequest,
  optionsOf,
  type RollbackRequest,
  requireReleaseName,
  type UninstallRequest,
  type UpgradeRequest,
  upgradeValues,
} from '../requests.ts'
import { beforeOf, rollbackRecord, withInfo } from '../revisions.ts'
import { requireAllowed, type Situation } from '../situation.ts'
import { Carrier, situationOf } from './carrier.ts'
import { preflight, renderRelease, scopesOf } from './prepare.ts'
import type { RunOptions } from './progress.ts'
import { Records } from './records.ts'

export interface EngineOptions {
  readonly cluster: Cluster
  readonly clock: Clock
  /** Random bytes for secrets that a chart has generated. */
  readonly random: (size: number) => Uint8Array
  /** Told of each record that is damaged and passed over. */
  readonly onUnreadable?: (error: unknown) => void
  /**
   * What must hold before an operation writes anything, such as free ports; throws what is wrong. `before` are the
   * objects of the release's revisions that this one follows: what they hold is no conflict.
   */
  readonly check?: (
    objects: readonly ClusterObject[],
    before: readonly ClusterObject[],
    signal: AbortSignal,
  ) => Promise<void>
}

interface Running {
  readonly operation: string
  readonly caller?: string
  readonly sinceMs: number
  readonly stop: AbortController
  readonly ended: Promise<void>
}

export interface Uninstalled {
  readonly record: ReleaseRecord | undefined
  /** `KIND/NAME` of objects and claims that outlive the release. */
  readonly kept: readonly { readonly kind: string; readonly name: string }[]
}

/**
 * Makes, changes and removes releases on a cluster.
 *
 * Invariants. At most one operation works on a release in this process; a second is refused by name, and uninstall
 * stops the first. Nothing is
 * written before everything that can fail without effect has been tried. An operation is the record of its revision
 * with a journal of the steps that are done; a step is in the journal only when it is done, and every step may run
 * twice: so whenever the process ends, `resume` finds the journal and completes the operation.
 */
export class ReleaseEngine {
  readonly #cluster: Cluster
  readonly #clock: Clock
  readonly #options: EngineOptions
  readonly #records: Records
  readonly #carrier: Carrier
  readonly #running = new Map<string, Running>()

  constructor(options: EngineOptions) {
    this.#cluster = options.cluster
    this.#clock = options.clock
    this.#options = options
    this.#records = new Records(options.cluster, options.clock, options.onUnreadable)
    this.#carrier = new Carrier(options.cluster, options.clock, this.#records)
  }

  /** The records, for commands that only read. */
  get records(): Records {
    return this.#records
  }

  async install(request: InstallRequest, given: RunOptions): Promise<ReleaseRecord> {
    return this.#alone('install', request, given, async (run) => {
      requireReleaseName(request.name)
      const situation = await situationOf(this.#records, request, run.signal)
      if (request.dryRun === undefined) requireAllowed('install', request.name, situation)
      return this.#make('install', { request, values: request, situation }, run)
    })
  }

  async upgrade(request: UpgradeRequest, given: RunOptions): Promise<ReleaseRecord> {
    return this.#alone('upgrade', request, given, async (run) => {
      requireReleaseName(request.name)
      const situation = await situationOf(this.#records, request, run.signal)
      const before = situation.deployed ?? situation.last
      const nothing = situation.name === 'absent' || situation.name === 'uninstalled'
      if (request.install && nothing)
        return this.#make('install', { request, values: request, situation }, run)
      requireAllowed('upgrade', request.name, situation)
      const values = before ? upgradeValues(request, before.record) : request
      return this.#make('upgrade', { request, values, situation }, run)
    })
  }

  async rollback(request: RollbackRequest, given: RunOptions): Promise<ReleaseRecord> {
    return this.#alone('rollback', request, given, async (run) => {
      const situation = await situationOf(this.#records, request, run.signal)
      requireAllowed('rollback', request.name, situation)
      const stored = rollbackRecord(request, situation, this.#now())
      if (request.dryRun) return stored.record
      await this.#records.create(stored, run.signal)
      return this.#carrier.carryOn(stored, run)
    })
  }

  async uninstall(request: UninstallRequest, given: RunOptions): Promise<Uninstalled> {
    return this.#alone('uninstall', request, given, async (run) => {
      const situation = await situationOf(this.#records, request, run.signal)
      const options = optionsOf(request)
      const { last } = situation
      if (!last && request.ignoreNotFound) return { record: undefined, kept: [] }
      if (situation.name === 'uninstalled' && last && !options.keepHistory) {
        for (const old of situation.history) await this.#records.remove(old, run.signal)
        return { record: last.record, kept: [] }
      }
      requireAllowed('uninstall', request.name, situation)
      if (!last) return { record: undefined, kept: [] }
      const kept = await this.#keptOf(situation, run.signal)
      if (request.dryRun) return { record: last.record, kept }
      const now = this.#now()
      const stored = withInfo(last, {
        status: 'uninstalling',
        deleted: now,
        description: 'Deletion in progress (or silently failed)',
      })
      const begun = { ...stored, journal: { operation: 'uninstall', done: [], options } as const }
      await this.#records.update(begun, run.signal)
      return { record: await this.#carrier.carryOn(begun, run), kept }
    })
  }

  /** Completes every operation that an earlier process left; one that fails does not keep the others. */
  async resume(
    given: RunOptions & { readonly namespace?: string; readonly release?: string },
  ): Promise<void> {
    const { signal, namespace, release } = given
    const records = await this.#records.list(
      { ...(namespace === undefined ? {} : { namespace }), ...(release === undefined ? {} : { release }) },
      signal,
    )
    const errors: unknown[] = []
    for (const stored of records.filter(({ journal }) => journal !== undefined)) {
      const { record, journal } = stored
      const name = journal?.then ?? journal?.operation ?? 'resume'
      await this.#alone(name, record, given, async (run) => {
        if (journal?.then) await this.#carrier.undo(stored, journal.then, run)
        else await this.#carrier.carryOn(stored, run)
      }).catch((error: unknown) => errors.push(error))
    }
    if (errors.length === 1) throw errors[0]
    if (errors.length > 1) throw new AggregateError(errors, 'Cannot complete what was left unfinished')
  }

  /**
   * Runs `work` when nothing else is at work on the release. A second command is refused by name, but for
   * `uninstall`: it stops the first at its next step, waits for that and goes on.
   */
  async #alone<T>(
    operation: string,
    release: { readonly name: string; readonly namespace: string; readonly caller?: string },
    given: RunOptions,
    work: (run: RunOptions) => Promise<T>,
  ): Promise<T> {
    const { name, namespace, caller } = release
    const key = `${namespace}/${name}`
    for (let other = this.#running.get(key); other; other = this.#running.get(key)) {
      if (operation !== 'uninstall' || other.operation === 'uninstall') {
        const who = other.caller === undefined ? '' : ` by ${other.caller}`
        const since = new Date(other.sinceMs).toISOString().replace('T', ' ').slice(0, 19)
        throw new BerthError(
          'CONFLICT',
          `Cannot ${operation} "${name}": ${other.operation}${who} is at work on it since ${since} UTC`,
          {
            hint: `berth status ${name} --follow follows it, berth uninstall ${name} stops and undoes it`,
          },
        )
      }
      other.stop.abort(
        new BerthError(
          'INTERRUPTED',
          `The ${other.operation} of "${name}" was stopped by uninstall${caller === undefined ? '' : ` of ${caller}`}`,
        ),
      )
      await other.ended
    }
    const stop = new AbortController()
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    this.#running.set(key, {
      operation,
      sinceMs: this.#clock.now(),
      stop,
      ended,
      ...(caller === undefined ? {} : { caller }),
    })
    try {
      return await work({ ...given, signal: AbortSignal.any([given.signal, stop.signal]) })
    } finally {
      this.#running.delete(key)
      resolve()
    }
  }

  /** Renders, tries, records and carries out a new revision from a chart. */
  async #make(
    operation: 'install' | 'upgrade',
    {
      request,
      values,
      situation,
    }: { request: InstallRequest; values: Pick<InstallRequest, 'chart' | 'values'>; situation: Situation },
    run: RunOptions,
  ): Promise<ReleaseRecord> {
    const { name, namespace } = request
    const { signal } = run
    const cluster = request.dryRun === 'client' ? undefined : this.#cluster
    const revision = (situation.last?.record.version ?? 0) + 1
    const rendered = await renderRelease(
      {
        ...values,
        name,
        namespace,
        revision,
        isUpgrade: operation === 'upgrade',
        skipSchema: request.skipSchema ?? false,
        history: situation.history,
        random: this.#options.random,
      },
      cluster,
      signal,
    )
    for (const text of rendered.warnings) run.onProgress?.({ type: 'warning', text })
    const options = optionsOf(request)
    const stored = this.#newRecord(operation, { request, values, rendered, situation, revision, options })
    if (!cluster) return withInfo(stored, { description: 'Dry run complete' }).record
    const newNamespace = await this.#namespace(request, signal)
    const { namespaced } = await scopesOf(
      [rendered.manifest, ...beforeOf(situation, revision).map((r) => r.record.manifest)],
      cluster,
      signal,
    )
    const before = beforeOf(situation, revision).flatMap(({ record }) =>
      objectsOf(record.manifest, namespace, namespaced),
    )
    await preflight(
      {
        rendered,
        release: { name, namespace },
        before: before.map(refOf),
        takeOwnership: request.takeOwnership ?? false,
        forceConflicts: options.forceConflicts,
        newNamespace,
      },
      cluster,
      signal,
    )
    await this.#options.check?.(objectsOf(rendered.manifest, namespace, namespaced), before, signal)
    if (request.dryRun) return withInfo(stored, { description: 'Dry run complete' }).record
    if (newNamespace)
      await cluster.apply(
        { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels: { name: namespace } } },
        { force: false },
        signal,
      )
    await this.#records.create(stored, signal)
    return this.#carrier.carryOn(stored, run)
  }

  /** Whether the namespace has to be made; throws when it is missing and must not be. */
  async #namespace({ namespace, createNamespace }: InstallRequest, signal: AbortSignal): Promise<boolean> {
    if (await this.#cluster.get({ apiVersion: 'v1', kind: 'Namespace', name: namespace }, signal))
      return false
    if (createNamespace) return true
    throw new BerthError('NOT_FOUND', `Cannot install: namespaces "${namespace}" not found`, {
      hint: 'give --create-namespace',
    })
  }

  #newRecord(
    operation: 'install' | 'upgrade',
    made: {
      request: InstallRequest
      values: Pick<InstallRequest, 'chart' | 'values'>
      rendered: Rendered
      situation: Situation
      revision: number
      options: JournalOptions
    },
  ): StoredRecord {
    const { request, values, rendered, situation, revision, options } = made
    const now = this.#now()
    const before = situation.deployed ?? situation.last
    return {
      labels: { ...(operation === 'upgrade' ? situation.last?.labels : {}), ...request.labels },
      journal: { operation, done: [], options },
      record: {
        name: request.name,
        info: {
          first_deployed: operation === 'upgrade' ? (before?.record.info.first_deployed ?? now) : now,
          last_deployed: now,
          description: operation === 'install' ? 'Initial install underway' : 'Preparing upgrade',
          status: operation === 'install' ? 'pending-install' : 'pending-upgrade',
          ...(rendered.notes === '' ? {} : { notes: rendered.notes }),
        },
        chart: recordChart(values.chart),
        ...(Object.keys(values.values).length === 0 ? {} : { config: values.values }),
        manifest: rendered.manifest,
        hooks: rendered.hooks.map(
          (hook): RecordedHook => ({
            name: hook.name,
            kind: hook.kind,
            path: hook.path,
            manifest: hook.manifest,
            events: hook.events,
            last_run: { phase: '' },
            ...(hook.weight === 0 ? {} : { weight: hook.weight }),
            ...(hook.deletePolicies.length === 0 ? {} : { delete_policies: hook.deletePolicies }),
            ...(hook.outputLogPolicies.length === 0 ? {} : { output_log_policies: hook.outputLogPolicies }),
          }),
        ),
        version: revision,
        namespace: request.namespace,
        apply_method: 'ssa',
      },
    }
  }

  async #keptOf({ history, last }: Situation, signal: AbortSignal) {
    if (!last) return []
    const { record } = last
    const { namespaced } = await scopesOf([record.manifest], this.#cluster, signal)
    const objects = objectsOf(record.manifest, record.namespace, namespaced)
    const claims = await this.#cluster.list(
      { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: record.namespace },
      signal,
    )
    const older = history.flatMap((one) => objectsOf(one.record.manifest, record.namespace, namespaced))
    return [
      ...objects.filter(isKept).map(({ kind, metadata }) => ({ kind, name: metadata.name })),
      ...claimsKept(
        [...objects, ...older],
        claims.map(({ metadata }) => metadata.name),
      ).map((name) => ({ kind: 'PersistentVolumeClaim', name })),
    ]
  }

  #now(): string {
    return new Date(this.#clock.now()).toISOString()
  }
}
