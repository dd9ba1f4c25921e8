import type { Change, Collection } from './collection.ts'
import type { Journal, Mutation } from './journal.ts'

/** A collection over the journal. The text that is written is made when it is written: later changes to a value are not. */
export class DurableCollection<T> implements Collection<T> {
  readonly #name: string
  readonly #journal: Journal
  readonly #records = new Map<string, T>()

  constructor(name: string, journal: Journal, loaded: ReadonlyMap<string, string>) {
    this.#name = name
    this.#journal = journal
    for (const [key, body] of loaded) this.#records.set(key, JSON.parse(body) as T)
  }

  get(key: string): T | undefined {
    return this.#records.get(key)
  }

  entries(): IterableIterator<[string, T]> {
    return this.#records.entries()
  }

  write(change: Change<T>): Promise<void> {
    const mutations: Mutation[] = []
    for (const key of change.remove ?? []) {
      this.#records.delete(key)
      mutations.push(this.#mutation(key, null))
    }
    for (const [key, value] of Object.entries(change.put ?? {})) {
      this.#records.set(key, value)
      mutations.push(this.#mutation(key, JSON.stringify(value)))
    }
    return this.#journal.write(mutations)
  }

  #mutation(key: string, body: string | null): Mutation {
    return { file: 'main', table: 'records', key: [this.#name, '', key], version: 0, body }
  }
}
