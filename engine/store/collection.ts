/**
 * Named records of one kind (images, containers, networks, leases, volumes), in memory and durable. Reads see a
 * write at once; the promise settles after its commit, in the order of the writes; a reply or an effect that must
 * not be lost waits for it. One `write` is one transaction.
 */
export interface Collection<T> {
  get(key: string): T | undefined
  entries(): IterableIterator<[string, T]>
  write(change: Change<T>): Promise<void>
}

export interface Change<T> {
  readonly put?: Readonly<Record<string, T>>
  readonly remove?: readonly string[]
}

/** A collection that is only in memory: for tests, and for programs that keep nothing. */
export class MemoryCollection<T> implements Collection<T> {
  readonly #records = new Map<string, T>()

  get(key: string): T | undefined {
    return this.#records.get(key)
  }

  entries(): IterableIterator<[string, T]> {
    return this.#records.entries()
  }

  async write(change: Change<T>): Promise<void> {
    for (const key of change.remove ?? []) this.#records.delete(key)
    for (const [key, value] of Object.entries(change.put ?? {})) this.#records.set(key, value)
  }
}
