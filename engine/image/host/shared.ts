import type { OnProgress } from '../progress.ts'

interface Job<T> {
  readonly result: Promise<T>
  readonly listeners: Set<OnProgress>
  readonly abort: AbortController
  waiters: number
}

/**
 * Work that several may want at once, done once: all wait for the same result and see the same progress. It is aborted
 * when the last of them gives up; one who gives up does not disturb the others.
 */
export class Shared<T> {
  readonly #jobs = new Map<string, Job<T>>()

  /** Joins the work of this key, or begins it. */
  async run(
    key: string,
    wanted: { onProgress: OnProgress; signal: AbortSignal },
    work: (emit: OnProgress, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    wanted.signal.throwIfAborted()
    // Work that was given up still has its files open: it ends first.
    for (let old = this.#jobs.get(key); old?.abort.signal.aborted; old = this.#jobs.get(key)) {
      await old.result.catch(() => {})
    }
    const job = this.#jobs.get(key) ?? this.#begin(key, work)
    job.waiters++
    job.listeners.add(wanted.onProgress)
    const gaveUp = Promise.withResolvers<never>()
    const giveUp = () => gaveUp.reject(wanted.signal.reason)
    wanted.signal.addEventListener('abort', giveUp)
    try {
      return await Promise.race([job.result, gaveUp.promise])
    } finally {
      wanted.signal.removeEventListener('abort', giveUp)
      job.listeners.delete(wanted.onProgress)
      if (--job.waiters === 0) job.abort.abort()
    }
  }

  #begin(key: string, work: (emit: OnProgress, signal: AbortSignal) => Promise<T>): Job<T> {
    const abort = new AbortController()
    const listeners = new Set<OnProgress>()
    const emit: OnProgress = (progress) => {
      for (const listener of listeners) listener(progress)
    }
    const result = work(emit, abort.signal)
    const job: Job<T> = { result, listeners, abort, waiters: 0 }
    this.#jobs.set(key, job)
    const forget = () => {
      if (this.#jobs.get(key) === job) this.#jobs.delete(key)
    }
    result.then(forget, forget)
    return job
  }
}

/** At most `limit` at a time; the others wait in order. */
export class Gate {
  readonly #waiting: (() => void)[] = []
  #free: number

  constructor(limit: number) {
    this.#free = limit
  }

  async enter<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free++
    }
  }
}
