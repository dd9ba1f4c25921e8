import { messageOf } from '../../base/error.ts'
import type { Log } from '../../base/host/log.ts'
import type { NamespacePinner } from '../ports.ts'

/**
 * Lets go of namespaces in the background: the kernel takes 15 to 30 ms for the end of a network namespace, and nobody
 * needs to wait for it but who pins the same file again. What a crash leaves is swept at the next start.
 */
export class LazyPins implements NamespacePinner {
  readonly #pins: NamespacePinner
  readonly #log: Log
  readonly #leaving = new Map<string, Promise<void>>()

  constructor(pins: NamespacePinner, log: Log) {
    this.#pins = pins
    this.#log = log
  }

  async pinNamespaces(...[pins, options]: Parameters<NamespacePinner['pinNamespaces']>): Promise<void> {
    await Promise.all(Object.values(pins).map((path) => this.#leaving.get(path)))
    await this.#pins.pinNamespaces(pins, options)
  }

  /** Returns at once. */
  async unpin(path: string): Promise<void> {
    if (this.#leaving.has(path)) return
    const gone = this.#pins
      .unpin(path)
      .catch((error) => this.#log('warn', 'Cannot unpin a namespace', { path, error: messageOf(error) }))
      .finally(() => this.#leaving.delete(path))
    this.#leaving.set(path, gone)
  }

  /** Settles when nothing is going any more. */
  async settled(): Promise<void> {
    while (this.#leaving.size > 0) await Promise.all(this.#leaving.values())
  }
}
