import type { WaitCondition } from '../container.ts'

type Moment = 'exit' | 'removed'

interface Waiter {
  readonly moment: Moment
  readonly resolve: (answer: { exitCode: number }) => void
  readonly reject: (error: unknown) => void
}

/** Who waits for a container's next exit or for its removal. */
export class Waiters {
  readonly #waiting = new Map<string, Set<Waiter>>()

  wait(id: string, condition: WaitCondition, signal: AbortSignal): Promise<{ exitCode: number }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ exitCode: number }>()
    const waiter: Waiter = { moment: condition === 'removed' ? 'removed' : 'exit', resolve, reject }
    const mine = this.#waiting.get(id) ?? new Set()
    this.#waiting.set(id, mine.add(waiter))
    const abort = () => {
      mine.delete(waiter)
      reject(signal.reason)
    }
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    return promise.finally(() => signal.removeEventListener('abort', abort))
  }

  /** A removal also ends the waiting for an exit that will not come. */
  settle(id: string, moment: Moment, exitCode: number): void {
    const mine = this.#waiting.get(id)
    for (const waiter of mine ?? []) {
      if (moment === 'exit' && waiter.moment !== 'exit') continue
      mine?.delete(waiter)
      waiter.resolve({ exitCode })
    }
    if (mine?.size === 0) this.#waiting.delete(id)
  }

  /** Rejects all that wait. */
  close(reason: unknown): void {
    for (const mine of this.#waiting.values()) for (const waiter of mine) waiter.reject(reason)
    this.#waiting.clear()
  }
}
