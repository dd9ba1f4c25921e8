import { BerthError, isBerthError } from '../../base/error.ts'
import { FlatWriter } from '../encode.ts'
import type { LaunchPlan } from '../plan.ts'
import { connectTo } from './connect.ts'
import { launch, launcherFile } from './launcher.ts'
import { Connection, frame } from './protocol.ts'
import type { Supervisor } from './supervisor.ts'

/** A socket that the keeper opens and every daemon that it starts inherits under its name. */
export type KeeperSocket = { readonly name: string } & (
  | { readonly kind: 'unix'; readonly path: string; readonly mode: number; readonly group?: number }
  | { readonly kind: 'tcp' | 'udp'; readonly address: string; readonly port: number }
)

export interface KeeperSettings {
  /** `ROOT/lock`: held by keeper and daemon. */
  readonly lock: string
  /** `RUN/keeper.sock`. */
  readonly control: string
  readonly sockets: readonly KeeperSocket[]
  /** The daemon: an absolute path and its arguments. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

const settingsVersion = 1
const none = 0xffff_ffff

/**
 * What to start as a keeper: `input` goes to its standard input, or into a file whose path is appended to `args` (for
 * `process.execve`, which keeps the terminal). It exits with the daemon's 0 or 78, and with 1 when it cannot begin.
 */
export function keeperCommand(
  settings: KeeperSettings,
  launcher: string = launcherFile(),
): { readonly file: string; readonly args: readonly string[]; readonly input: Uint8Array } {
  const w = new FlatWriter()
  w.u32(settingsVersion)
  w.text(settings.lock)
  w.text(settings.control)
  w.list(settings.sockets, (socket) => {
    w.text(socket.name)
    w.u8({ unix: 0, tcp: 1, udp: 2 }[socket.kind])
    w.text(socket.kind === 'unix' ? socket.path : socket.address)
    w.u16(socket.kind === 'unix' ? 0 : socket.port)
    w.u32(socket.kind === 'unix' ? socket.mode : 0)
    w.u32(socket.kind === 'unix' ? (socket.group ?? none) : none)
  })
  w.list(settings.argv, (item) => w.text(item))
  w.list(Object.entries(settings.env), ([key, value]) => w.text(`${key}=${value}`))
  return { file: launcher, args: ['keeper'], input: w.finish() }
}

/** The descriptors that a keeper gave this process, by name: `BERTH_FDS`, such as `api:3,docker:4,lock:5`. */
export function inheritedDescriptors(
  env: Readonly<Record<string, string | undefined>>,
): ReadonlyMap<string, number> {
  const pairs = (env.BERTH_FDS ?? '').split(',').filter((pair) => pair !== '')
  return new Map(
    pairs.map((pair) => {
      const at = pair.lastIndexOf(':')
      return [pair.slice(0, at), Number(pair.slice(at + 1))]
    }),
  )
}

/** A port that the keeper holds. The same key again is the same hold. */
export interface Hold {
  readonly key: string
  readonly protocol: 'tcp' | 'udp'
  readonly address: string
  /** 0: any that is free. */
  readonly port: number
}

/** A listening socket that came while the daemon ran; `handle` is for `server.listen`. */
export interface LateSocket {
  readonly port: number
  readonly handle: object
}

const arrivalLimitMs = 10_000

/** The socket of this name that the keeper sends on Node's channel (launcher/keeper_late.c). */
function arrival(name: string, signal: AbortSignal): Promise<object> {
  return new Promise((resolve, reject) => {
    const end = () => {
      process.off('message', take)
      signal.removeEventListener('abort', abort)
    }
    const abort = () => {
      end()
      reject(signal.reason)
    }
    const take = (message: unknown, handle: unknown) => {
      if ((message as { late?: unknown }).late !== name || typeof handle !== 'object' || handle === null)
        return
      end()
      resolve(handle)
    }
    process.on('message', take)
    signal.addEventListener('abort', abort, { once: true })
  })
}

/** The daemon's connection to its keeper. */
export class Keeper implements AsyncDisposable {
  readonly #path: string
  readonly #connection: Connection
  #disposed = false
  /** Resolves when the keeper is gone, not when this is: the daemon has to end, the next keeper needs its lock. */
  readonly closed: Promise<void>

  private constructor(path: string, connection: Connection) {
    this.#path = path
    this.#connection = connection
    this.closed = new Promise((resolve) => {
      connection.closed.then(() => {
        if (!this.#disposed) resolve()
      })
    })
  }

  /** Connects to `keeper.sock` (`BERTH_KEEPER` in a daemon's environment). */
  static async open(path: string, signal: AbortSignal): Promise<Keeper> {
    return new Keeper(path, new Connection(await connectTo(path, signal), () => {}))
  }

  /** As `launch`, with a supervisor that the keeper makes. */
  async launch(plan: LaunchPlan, signal: AbortSignal): Promise<Supervisor> {
    return await launch(plan, { keeperSocket: this.#path }, signal)
  }

  /** Takes a port, also over restarts of the daemon; its number. Rejects with `CONFLICT` when it is in use. */
  async bind(hold: Hold): Promise<number> {
    const w = new FlatWriter()
    w.u8(hold.protocol === 'tcp' ? 0 : 1)
    w.u16(hold.port)
    w.text(hold.address)
    w.text(hold.key)
    const action = `hold port ${hold.port}/${hold.protocol} of ${hold.address}`
    try {
      return await this.#connection.request(frame.bind, w.finish(), action)
    } catch (error) {
      if (!isBerthError(error, 'KERNEL') || error.details?.errno !== 'EADDRINUSE') throw error
      throw new BerthError('CONFLICT', `Cannot ${action}: it is in use`, { cause: error })
    }
  }

  /** Gives a port back; one that is not held is fine. */
  async release(key: string): Promise<void> {
    const w = new FlatWriter()
    w.text(key)
    await this.#connection.request(frame.release, w.finish(), `release ${key}`)
  }

  /**
   * Listens on a TCP address for as long as the keeper lives: this daemon gets the socket now, each later one inherits it
   * under its name (`inheritedDescriptors`). The same name at another address takes the old one's place. Port 0: any
   * that is free. Rejects with `CONFLICT` when the address is in use.
   */
  async listen(
    { name, address, port }: { name: string; address: string; port: number },
    signal: AbortSignal,
  ): Promise<LateSocket> {
    const w = new FlatWriter()
    w.u16(port)
    w.text(address)
    w.text(name)
    const action = `listen on ${address}:${port}`
    const arriving = arrival(name, AbortSignal.any([signal, AbortSignal.timeout(arrivalLimitMs)]))
    // Whoever asked is told by the request; the socket comes before its answer.
    arriving.catch(() => undefined)
    try {
      const bound = await this.#connection.request(frame.listen, w.finish(), action)
      return { port: bound, handle: await arriving }
    } catch (error) {
      if (!isBerthError(error, 'KERNEL') || error.details?.errno !== 'EADDRINUSE') throw error
      throw new BerthError('CONFLICT', `Cannot ${action}: it is in use`, { cause: error })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    this.#connection.close()
    await this.#connection.closed
  }
}
