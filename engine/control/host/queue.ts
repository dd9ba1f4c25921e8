/** When a key that failed is tried again: 5 ms doubling up to a minute. */
const firstDelayMs = 5
const longestDelayMs = 60_000

/**
 * Keys that wait for their turn, each at most once. One that comes again while it is worked on waits until that is done: no key is worked on
 * twice at a time. Times are given from outside.
 */
export class KeyQueue {
  readonly #ready = new Set<string>()
  readonly #later = new Map<string, number>()
  readonly #busy = new Set<string>()
  readonly #failures = new Map<string, number>()

  /** To be worked on as soon as possible. */
  add(key: string): void {
    this.#ready.add(key)
  }

  /** To be worked on at a time (ms), or sooner when something else asks for it. */
  addAt(key: string, time: number): void {
    this.#later.set(key, Math.min(time, this.#later.get(key) ?? Number.POSITIVE_INFINITY))
  }

  /** After a failure: later each time. */
  addFailed(key: string, now: number): void {
    const failures = this.#failures.get(key) ?? 0
    this.#failures.set(key, failures + 1)
    this.addAt(key, now + Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(failures, 30)))
  }

  /** The next key, which is then worked on until `done`. */
  take(now: number): string | undefined {
    for (const [key, time] of this.#later) {
      if (time > now) continue
      this.#later.delete(key)
      this.#ready.add(key)
    }
    for (const key of this.#ready) {
      if (this.#busy.has(key)) continue
      this.#ready.delete(key)
      this.#busy.add(key)
      return key
    }
    return undefined
  }

  done(key: string, result: 'good' | 'failed'): void {
    this.#busy.delete(key)
    if (result === 'good') this.#failures.delete(key)
  }

  /** The time of the next key that waits for one. */
  get nextTime(): number | undefined {
    return this.#later.size === 0 ? undefined : Math.min(...this.#later.values())
  }

  /** Nothing waits for its turn and nothing is worked on; what waits for a time does not count. */
  get idle(): boolean {
    return this.#ready.size === 0 && this.#busy.size === 0
  }
}
