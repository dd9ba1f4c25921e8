/**
 * The durable order of writes. The main thread holds the state and decides; the journal makes it durable. Its
 * contract: a batch is committed whole or not at all, batches in the order of `write`, and `onCommit` callbacks and
 * promises of one batch run in the order of their writes, after the commit.
 */
export interface Journal {
  /** Appends; the promise settles after the commit and after `onCommit` of this and every earlier write. */
  write(mutations: readonly Mutation[], onCommit?: () => void): Promise<void>
  /** Settles when everything written so far is committed; at once when nothing is on its way. */
  settled(): Promise<void>
}

/**
 * One row. `file`: `main` is synced at every commit; `events` (events and heartbeats) may lose its last moments when
 * the machine loses power, never when a process is killed. `body` null removes the row. `version` is the
 * resourceVersion for objects, 0 for records of collections.
 */
export interface Mutation {
  readonly file: 'main' | 'events'
  readonly table: 'objects' | 'records'
  /** Objects: group-kind, namespace, name. Records: collection, '', key. */
  readonly key: readonly [string, string, string]
  readonly version: number
  readonly body: string | null
}

/** What a journal holds when it is opened. */
export interface Loaded {
  readonly objects: readonly string[]
  readonly records: readonly (readonly [collection: string, key: string, body: string])[]
  /** The last resourceVersion that is known to be durable. */
  readonly version: number
  /** Versions up to here may have been given out before; the next one is higher. */
  readonly reserved: number
}

/** A journal that keeps nothing: for tests and simulations. Commits in the next microtask. */
export class MemoryJournal implements Journal {
  #last: Promise<void> = Promise.resolve()

  write(_mutations: readonly Mutation[], onCommit?: () => void): Promise<void> {
    this.#last = this.#last.then(onCommit)
    return this.#last
  }

  settled(): Promise<void> {
    return this.#last
  }
}
