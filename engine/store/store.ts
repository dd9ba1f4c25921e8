import type { BerthError } from '../base/error.ts'
import type { Clock } from '../base/host/clock.ts'
import type { Log } from '../base/host/log.ts'
import type { Collection } from './collection.ts'
import { DurableCollection } from './durable-collection.ts'
import type { StoredObject } from './object.ts'
import { ObjectStore } from './objects.ts'
import { SqliteJournal } from './sqlite-journal.ts'

export interface StoreOptions {
  /** Made 0700; holds `berth.sqlite` and `events.sqlite`. */
  readonly folder: string
  readonly log: Log
  /** Called once when a commit failed: what memory holds is then more than the disk does, the daemon has to end. */
  readonly onFatal: (error: BerthError) => void
  readonly clock?: Clock
}

/** Everything that the daemon remembers. One process has it open at a time (the daemon's lock sees to that). */
export class Store implements AsyncDisposable {
  readonly objects: ObjectStore
  readonly #journal: SqliteJournal
  readonly #records: Map<string, Map<string, string>>
  readonly #collections = new Map<string, DurableCollection<unknown>>()

  private constructor(
    journal: SqliteJournal,
    objects: ObjectStore,
    records: Map<string, Map<string, string>>,
  ) {
    this.#journal = journal
    this.objects = objects
    this.#records = records
  }

  static async open(options: StoreOptions): Promise<Store> {
    const { log } = options
    const { journal, loaded } = await SqliteJournal.open(options.folder, (error) => {
      log('error', 'the store failed', { error: error.message })
      options.onFatal(error)
    })
    const records = new Map<string, Map<string, string>>()
    for (const [collection, key, body] of loaded.records) {
      const named = records.get(collection) ?? new Map<string, string>()
      records.set(collection, named.set(key, body))
    }
    const objects = new ObjectStore({
      journal,
      objects: loaded.objects.map((text) => JSON.parse(text) as StoredObject),
      version: loaded.version,
      reserved: loaded.reserved,
      ...(options.clock ? { clock: options.clock } : {}),
    })
    log('info', 'the store is open', { objects: loaded.objects.length, records: loaded.records.length })
    return new Store(journal, objects, records)
  }

  /** The records of this name; the same collection for the same name. */
  collection<T>(name: string): Collection<T> {
    const present = this.#collections.get(name)
    if (present) return present as Collection<unknown> as Collection<T>
    const made = new DurableCollection<T>(name, this.#journal, this.#records.get(name) ?? new Map())
    this.#records.delete(name)
    this.#collections.set(name, made as DurableCollection<unknown>)
    return made
  }

  /** Waits for all writes, then closes the files. */
  async close(): Promise<void> {
    await this.#journal.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
