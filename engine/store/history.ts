import { BerthError } from '../base/error.ts'
import type { StoredObject } from './object.ts'

/** One committed change. */
export interface ChangeRecord {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly version: number
  readonly groupKind: string
  /** As it is after the change; for DELETED as it last was, with the resourceVersion of its end. */
  readonly object: StoredObject
  /** As it was before; undefined for ADDED. Selectors need it: an object can leave a selection. */
  readonly previous: StoredObject | undefined
}

export interface WatchScope {
  /** All kinds when undefined. */
  readonly groupKind?: string
  /** All namespaces when undefined or empty. */
  readonly namespace?: string
  /** Changes after this resourceVersion; only later ones when undefined. */
  readonly from?: number
}

/** How many changes a watcher may lag behind before it is ended with GONE. */
const maxPending = 4096

/**
 * The last changes, in order, and who follows them. Contract of `watch`: every change after `from` exactly once, in
 * order, or an end with GONE, after which the watcher lists again; never a gap in silence.
 */
export class History {
  readonly #limit: number
  readonly #watchers = new Set<Watcher>()
  #records: ChangeRecord[] = []
  /** Changes up to this version are no longer (or were never) held. */
  #start: number
  #last: number

  constructor(start: number, limit = 16_384) {
    this.#start = start
    this.#last = start
    this.#limit = limit
  }

  /** The version of the last committed change. */
  get last(): number {
    return this.#last
  }

  publish(record: ChangeRecord): void {
    this.#records.push(record)
    this.#last = record.version
    if (this.#records.length > this.#limit * 2) {
      this.#start = this.#records[this.#limit - 1]?.version ?? this.#start
      this.#records = this.#records.slice(this.#limit)
    }
    for (const watcher of this.#watchers) watcher.push(record)
  }

  /**
   * Follows changes until `signal` aborts, which ends the iteration without an error. `ahead` is the version that
   * memory has reached: `from` may lie between the last commit and it.
   */
  watch(scope: WatchScope, ahead: number, signal: AbortSignal): Watcher {
    const from = scope.from ?? ahead
    if (from < this.#start || from > Math.max(ahead, this.#last)) {
      throw new BerthError(
        'GONE',
        `Cannot watch from resourceVersion ${from}: the history begins at ${this.#start}`,
        {
          hint: "list again and watch from the list's resourceVersion",
          details: { from, oldest: this.#start },
        },
      )
    }
    const watcher = new Watcher({ ...scope, from }, () => this.#watchers.delete(watcher))
    for (let i = this.#firstAfter(from); i < this.#records.length; i++) {
      const record = this.#records[i]
      if (record) watcher.push(record, true)
    }
    this.#watchers.add(watcher)
    watcher.endWith(signal)
    return watcher
  }

  #firstAfter(version: number): number {
    let low = 0
    let high = this.#records.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#records[middle]?.version ?? 0) > version) high = middle
      else low = middle + 1
    }
    return low
  }
}

/** One follower's queue of changes: an async iterable for one reader. */
export class Watcher implements AsyncIterable<ChangeRecord> {
  readonly #scope: WatchScope & { readonly from: number }
  readonly #leave: () => void
  #pending: ChangeRecord[] = []
  #wake: (() => void) | undefined
  #unlisten: () => void = () => undefined
  #ended = false
  #overflow = false

  constructor(scope: WatchScope & { readonly from: number }, leave: () => void) {
    this.#scope = scope
    this.#leave = leave
  }

  /** Called by the history for every change; `replay` lifts the limit. */
  push(record: ChangeRecord, replay = false): void {
    const { groupKind, namespace, from } = this.#scope
    if (record.version <= from || this.#ended) return
    if (groupKind !== undefined && record.groupKind !== groupKind) return
    if (namespace && record.object.metadata.namespace !== namespace) return
    if (!replay && this.#pending.length >= maxPending) {
      this.#overflow = true
      this.close()
      return
    }
    this.#pending.push(record)
    this.#wake?.()
  }

  endWith(signal: AbortSignal): void {
    const end = () => this.close()
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
    this.#unlisten = () => signal.removeEventListener('abort', end)
  }

  /** Ends the iteration after what is pending; idempotent. */
  close(): void {
    this.#ended = true
    this.#unlisten()
    this.#leave()
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ChangeRecord> {
    try {
      for (;;) {
        const batch = this.#pending
        this.#pending = []
        yield* batch
        if (this.#pending.length > 0) continue
        if (this.#overflow) {
          throw new BerthError('GONE', 'The watcher is too slow: changes were dropped', {
            hint: "list again and watch from the list's resourceVersion",
          })
        }
        if (this.#ended) return
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        this.#wake = undefined
      }
    } finally {
      this.close()
    }
  }
}
