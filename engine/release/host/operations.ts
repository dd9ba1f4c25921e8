import { setTimeout as sleep } from 'node:timers/promises'
import { isBerthError, messageOf } from '../../base/error.ts'
import type { Clock } from '../../base/host/clock.ts'
import type { Log } from '../../base/host/log.ts'
import { readArchive } from '../../chart/archive.ts'
import { loadChart } from '../../chart/load.ts'
import type { KubernetesClient } from '../../client/kubernetes-client.ts'
import {
  errorStatus,
  namespaceOf,
  type OperationStatus,
  operationKind,
  operationLabel,
  type ReleaseOperation,
  withProgress,
} from '../operation.ts'
import type { StoredRecord } from '../record.ts'
import type { ReleaseEngine, Uninstalled } from './engine.ts'
import type { Progress } from './progress.ts'

export interface OperationsOptions {
  readonly client: Pick<KubernetesClient, 'watch' | 'patch' | 'remove'>
  readonly engine: ReleaseEngine
  readonly clock: Clock
  readonly log: Log
}

/** A finished operation is kept so long, for whoever follows it or asks twice. */
const keepMs = 10 * 60_000
/** Progress is written at most this often. */
const writeEveryMs = 100

/**
 * Carries out ReleaseOperations as they come: the daemon's part of every release command.
 *
 * Invariants. An operation is at work once in this process. One that an earlier process left `Running` is found
 * again by the record that carries its name: with a journal it is carried on, without one it is over, and where
 * there is no such record nothing was written and it begins anew.
 */
export class ReleaseOperations {
  readonly #options: OperationsOptions
  readonly #working = new Map<string, Promise<void>>()

  constructor(options: OperationsOptions) {
    this.#options = options
  }

  /** Runs until `signal` aborts; then waits for what is at work, which stops at its next step. */
  async run(signal: AbortSignal): Promise<void> {
    const events = this.#options.client.watch<ReleaseOperation>(operationKind, {}, signal)
    for await (const event of events) {
      if (event.type !== 'ADDED' && event.type !== 'MODIFIED') continue
      const operation = event.object
      const { namespace, name } = operation.metadata
      const key = `${namespace}/${name}`
      if (this.#working.has(key)) continue
      const { phase, finishedAt } = operation.status ?? {}
      const work =
        phase === 'Succeeded' || phase === 'Failed'
          ? this.#expire(operation, finishedAt, signal)
          : this.#perform(operation, signal)
      this.#working.set(
        key,
        work
          .catch((error: unknown) => {
            if (!signal.aborted)
              this.#options.log('error', 'a release operation was lost', {
                name: key,
                error: messageOf(error),
              })
          })
          .finally(() => this.#working.delete(key)),
      )
    }
    await Promise.all(this.#working.values())
  }

  async #expire(
    { metadata }: ReleaseOperation,
    finishedAt: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const age = this.#options.clock.now() - Date.parse(finishedAt ?? '')
    if (age < keepMs) await sleep(keepMs - age, undefined, { signal, ref: false })
    await this.#options.client
      .remove({ ...operationKind, ...metadata }, {}, signal)
      .catch((error: unknown) => {
        if (!isBerthError(error, 'NOT_FOUND')) throw error
      })
  }

  async #perform(operation: ReleaseOperation, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    const began = operation.status
    let status: OperationStatus = began ?? {
      phase: 'Running',
      startedAt: this.#now(),
      progress: [],
      dropped: 0,
    }
    const fresh: Progress[] = []
    let written = clock.now()
    let later: NodeJS.Timeout | undefined
    let writing = Promise.resolve()
    const write = (next: OperationStatus) => {
      clearTimeout(later)
      later = undefined
      status = withProgress(next, fresh.splice(0))
      const body = { status }
      writing = writing.then(async () => {
        await this.#options.client.patch(
          { ...operationKind, ...operation.metadata },
          { type: 'merge', body, subresource: 'status' },
          signal,
        )
      })
      writing.catch(() => undefined)
    }
    write(status)
    const onProgress = (progress: Progress) => {
      fresh.push(progress)
      const due = written + writeEveryMs - clock.now()
      if (due <= 0) {
        written = clock.now()
        write(status)
      } else {
        // Nothing more may come for a long time: what was held back is told then.
        later ??= setTimeout(() => write(status), due)
      }
    }
    try {
      const result = began
        ? await this.#again(operation, { signal, onProgress })
        : await this.#begin(operation, { signal, onProgress })
      write({ ...status, phase: 'Succeeded', finishedAt: this.#now(), ...result })
    } catch (error) {
      clearTimeout(later)
      // The next daemon carries on: its status stays Running.
      if (signal.aborted) throw error
      write({ ...status, phase: 'Failed', finishedAt: this.#now(), error: errorStatus(error) })
    }
    await writing
  }

  async #begin({ metadata, spec }: ReleaseOperation, run: Run): Promise<Result> {
    const { engine } = this.#options
    const base = {
      name: spec.release,
      namespace: namespaceOf({ metadata, spec }),
      options: spec.options,
      caller: spec.caller,
    }
    const labels = { ...spec.labels, [operationLabel]: metadata.name }
    if (spec.command === 'rollback')
      return {
        revision: (await engine.rollback({ ...base, labels, version: spec.revision ?? 0 }, run)).version,
      }
    if (spec.command === 'uninstall')
      return resultOf(await engine.uninstall({ ...base, ignoreNotFound: spec.ignoreNotFound ?? false }, run))
    const origin = spec.origin ?? spec.release
    const request = {
      ...base,
      labels,
      chart: await loadChart(await readArchive(Buffer.from(spec.chart ?? '', 'base64'), origin), origin),
      values: spec.values ?? {},
      createNamespace: spec.createNamespace ?? false,
      takeOwnership: spec.takeOwnership ?? false,
      skipSchema: spec.skipSchema ?? false,
    }
    const record =
      spec.command === 'install'
        ? await engine.install(request, run)
        : await engine.upgrade(
            { ...request, install: spec.install ?? false, valuesMode: spec.valuesMode ?? 'default' },
            run,
          )
    return { revision: record.version }
  }

  /** Carries on what an earlier process began. */
  async #again(operation: ReleaseOperation, run: Run): Promise<Result> {
    const { engine } = this.#options
    const { spec } = operation
    const asked = { namespace: namespaceOf(operation), release: spec.release }
    const find = async () => {
      const records = await engine.records.list(asked, run.signal)
      return records.findLast((stored) => isOf(stored, operation, records.at(-1)))
    }
    const mine = await find()
    if (!mine)
      return this.#begin(
        { ...operation, spec: { ...spec, ignoreNotFound: spec.command === 'uninstall' } },
        run,
      )
    if (mine.journal) await engine.resume({ ...run, namespace: asked.namespace, release: spec.release })
    const { record } = (await find()) ?? mine
    if (record.info.status === 'failed') throw new Error(record.info.description)
    return { revision: record.version }
  }

  #now(): string {
    return new Date(this.#options.clock.now()).toISOString()
  }
}

interface Run {
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
}

type Result = Pick<OperationStatus, 'revision' | 'kept'>

function resultOf({ record, kept }: Uninstalled): Result {
  return { ...(record ? { revision: record.version } : {}), kept }
}

/** Whether a record is the operation's own: it carries its name, or is the one that is being uninstalled. */
function isOf(
  stored: StoredRecord,
  { metadata, spec }: ReleaseOperation,
  last: StoredRecord | undefined,
): boolean {
  if (spec.command === 'uninstall') return stored === last && stored.journal?.operation === 'uninstall'
  return stored.labels[operationLabel] === metadata.name
}
