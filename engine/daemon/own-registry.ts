import { join } from 'node:path'
import { messageOf } from '../base/error.ts'
import type { Log } from '../base/host/log.ts'
import { serveEmbeddedRegistry } from '../registry/embedded.ts'
import type { ServingRegistry } from '../registry/server.ts'
import type { Config } from './config.ts'

/**
 * The registry inside the daemon, content and credentials in `ROOT/registry`. One that cannot listen is logged and no
 * reason not to start: what runs does not need it, and SIGHUP tries again.
 */
export class OwnRegistry implements AsyncDisposable {
  readonly #root: string
  readonly #log: Log
  #serving: { readonly registry: ServingRegistry; readonly asked: string } | undefined

  constructor(root: string, log: Log) {
    this.#root = join(root, 'registry')
    this.#log = log
  }

  /** Serves at the configured address from now on, or nowhere. */
  async take({ registry: config }: Config): Promise<void> {
    if (config?.address === this.#serving?.asked) return
    await this[Symbol.asyncDispose]()
    if (!config) return
    try {
      const registry = await serveEmbeddedRegistry({
        address: config.address,
        root: this.#root,
        log: this.#log,
      })
      this.#serving = { registry, asked: config.address }
      this.#log('info', 'the registry listens', {
        address: registry.address,
        credentials: join(this.#root, 'credentials'),
      })
    } catch (error) {
      this.#log('error', 'the registry is not served', { error: messageOf(error) })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const serving = this.#serving
    this.#serving = undefined
    await serving?.registry[Symbol.asyncDispose]()
  }
}
