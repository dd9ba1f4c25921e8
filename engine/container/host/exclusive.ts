/**
 * One at a time for each key, in the order of asking. Different keys do not wait for each other. What runs under a
 * key must not ask for the same key again: it would wait for itself.
 */
export class Exclusive {
  readonly #tails = new Map<string, Promise<unknown>>()

  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve()
    const mine = before.then(work, work)
    const settled = mine.catch(() => undefined)
    this.#tails.set(key, settled)
    try {
      return await mine
    } finally {
      if (this.#tails.get(key) === settled) this.#tails.delete(key)
    }
  }

  /** Settles when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values())
  }
}
