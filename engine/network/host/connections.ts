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

  constructor(kernel: Kernel, log: Log) {
    this.#kernel = kernel
    this.#log = log
  }

  /** Those that were answered by an address which has no owner now. */
  async forgetAddress(address: string): Promise<void> {
    await this.#forget(dumpAnsweredBy(parseIpv4(address)), () => true)
  }

  /** Those to changed ports that are answered by nobody who may. */
  async forgetChanged(ports: readonly ChangedPort[]): Promise<void> {
    for (const { address, port, answerers } of ports) {
      await this.#forget(dumpBegunTo({ address, protocol: udp, port }), ({ answeredBy }) => {
        return !answerers.has(answererKey(answeredBy.address, answeredBy.port))
      })
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

function ignoreGone(error: unknown): void {
  if (!isBerthError(error) || error.details?.errno !== 'ENOENT') throw error
}
