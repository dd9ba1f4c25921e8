import { isBerthError, messageOf } from '../../base/error.ts'
import type { Log } from '../../base/host/log.ts'
import { parseIpv4 } from '../address.ts'
import { answererKey, type ChangedPort } from '../firewall/stale.ts'
import {
  type Connection,
  decodeConnection,
  deleteConnection,
  dumpAnsweredBy,
  dumpBegunTo,
} from '../netlink/conntrack.ts'
import { netlinkNetfilter } from '../netlink/nftables.ts'
import type { Kernel } from './kernel.ts'

const udp = 17

/**
 * Makes the kernel forget connections that nobody answers any more, so that their next packet finds another endpoint
 * or a refusal instead of silence. Best effort, in the background: a kernel that cannot search (before 5.8) is left.
 */
export class Connections {
  readonly #kernel: Kernel
  readonly #log: Log
  /** Ports to look through, with who may answer now. */
  readonly #changed = new Map<string, ChangedPort>()
  #looking: Promise<void> | undefined
  readonly #work = new Set<Promise<void>>()

  constructor(kernel: Kernel, log: Log) {
    this.#kernel = kernel
    this.#log = log
  }

  /** Those that were answered by an address which has no owner now. */
  forgetAddress(address: string): Promise<void> {
    const work = this.#forget(dumpAnsweredBy(parseIpv4(address)), () => true).finally(() =>
      this.#work.delete(work),
    )
    this.#work.add(work)
    return work
  }

  /**
   * Those to changed ports that are answered by nobody who may. Who may is what the last call for a port said: a
   * connection to an endpoint that came while an earlier change was looked through is not cut.
   */
  forgetChanged(ports: readonly ChangedPort[]): Promise<void> {
    for (const changed of ports) this.#changed.set(`${changed.address ?? ''}:${changed.port}`, changed)
    this.#looking ??= this.#lookThrough().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  /** Settles when all that was to be forgotten is. */
  async settled(): Promise<void> {
    await Promise.all([this.#looking, ...this.#work])
  }

  async #lookThrough(): Promise<void> {
    for (let next = first(this.#changed); next; next = first(this.#changed)) {
      const [key, changed] = next
      const { address, port } = changed
      await this.#forget(dumpBegunTo({ address, protocol: udp, port }), ({ answeredBy }) => {
        const { answerers } = this.#changed.get(key) ?? changed
        return !answerers.has(answererKey(answeredBy.address, answeredBy.port))
      })
      if (this.#changed.get(key) === changed) this.#changed.delete(key)
    }
  }

  async #forget(search: Uint8Array, isStale: (connection: Connection) => boolean): Promise<void> {
    try {
      const found = (await this.#ask(search)).map(decodeConnection)
      for (const connection of found) {
        if (connection && isStale(connection)) await this.#ask(deleteConnection(connection)).catch(ignoreGone)
      }
    } catch (error) {
      this.#log('debug', 'Cannot forget connections', { error: messageOf(error) })
    }
  }

  #ask(message: Uint8Array): Promise<Uint8Array[]> {
    return this.#kernel.netlink(netlinkNetfilter, message, { action: 'forget connections', background: true })
  }
}

const first = <K, V>(map: ReadonlyMap<K, V>): [K, V] | undefined => map.entries().next().value

function ignoreGone(error: unknown): void {
  if (!isBerthError(error) || error.details?.errno !== 'ENOENT') throw error
}
