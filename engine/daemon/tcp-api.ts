import { readFile } from 'node:fs/promises'
import type { Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type Certificates, ensureCertificates } from '../api/certificates.ts'
import type { KubernetesApi } from '../api/http.ts'
import { createTlsServer, kubeconfigOf } from '../api/tls.ts'
import { BerthError, errnoOf, isBerthError, messageOf } from '../base/error.ts'
import type { Clock } from '../base/host/clock.ts'
import { writeFileAtomic } from '../base/host/files.ts'
import type { Log } from '../base/host/log.ts'
import type { Keeper } from '../runtime/host/keeper.ts'
import { closeServer } from './sockets.ts'

/** Among the keeper's sockets. */
const socketName = 'kubernetes'
const closeGraceMs = 1000

export interface TcpApiOptions {
  /** `ROOT/api`: certificates in `tls/`, and where to listen in `listen.json`. */
  readonly folder: string
  /** Of the kubeconfig's cluster, user and context. */
  readonly name: string
  readonly descriptors: ReadonlyMap<string, number>
  /** Who keeps the socket; without one (tests) this process has it. */
  readonly keeper: Pick<Keeper, 'listen'> | undefined
  readonly api: Pick<KubernetesApi, 'handle' | 'upgrade'>
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
}

/** An address of the loopback interface; port 0: any that is free. */
export interface ListenAddress {
  readonly address: string
  readonly port: number
}

/**
 * The Kubernetes API over TLS on a loopback address, for kubectl and helm. There is none before the first
 * `kubeconfig()`; then the address is on record, the keeper has the socket, and every daemon serves it from its start.
 */
export class TcpApi implements AsyncDisposable {
  readonly #options: TcpApiOptions
  #serving: { readonly server: Server; readonly at: ListenAddress } | undefined
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(options: TcpApiOptions) {
    this.#options = options
  }

  static async open(options: TcpApiOptions): Promise<TcpApi> {
    const tcp = new TcpApi(options)
    const fd = options.descriptors.get(socketName)
    if (fd !== undefined) await tcp.#serve({ fd })
    else await tcp.#serveRecorded()
    return tcp
  }

  /** What kubectl needs. Without an address: where it listens, else where it did, else any free port of 127.0.0.1. */
  kubeconfig(asked?: ListenAddress): Promise<object> {
    const turn = this.#turn.catch(() => undefined).then(() => this.#kubeconfig(asked))
    this.#turn = turn
    return turn
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn.catch(() => undefined)
    if (this.#serving) await closeServer(this.#serving.server, closeGraceMs)
  }

  async #kubeconfig(asked: ListenAddress | undefined): Promise<object> {
    const certificates = await this.#certificates()
    const present = this.#serving
    if (present && suits(present.at, asked)) {
      // Leaves that were renewed: those of a kubeconfig fit the authority that the server knows.
      const { ca, server } = certificates
      present.server.setSecureContext({ ca, ...server })
    } else {
      await this.#listen(asked ?? (await this.#recorded()) ?? { address: '127.0.0.1', port: 0 })
      if (present) await closeServer(present.server, closeGraceMs)
    }
    const { address, port } = this.#serving?.at ?? { address: '', port: 0 }
    const host = address.includes(':') ? `[${address}]` : address
    return kubeconfigOf({ url: `https://${host}:${port}`, name: this.#options.name, certificates })
  }

  /** Who has the address meanwhile is told; the daemon goes on without, until somebody asks for a kubeconfig. */
  async #serveRecorded(): Promise<void> {
    const { log } = this.#options
    try {
      const at = await this.#recorded()
      if (at) await this.#listen(at)
    } catch (error) {
      log('warn', 'the API is not served over TCP', { error: messageOf(error) })
    }
  }

  async #listen(at: ListenAddress): Promise<void> {
    const { keeper, signal } = this.#options
    try {
      const late = await keeper?.listen({ name: socketName, ...at }, signal)
      await this.#serve(late ? late.handle : { host: at.address, port: at.port })
    } catch (error) {
      if (errnoOf(error) !== 'EADDRINUSE' && !isBerthError(error, 'CONFLICT')) throw error
      throw new BerthError(
        'UNAVAILABLE',
        `Cannot listen on ${at.address}:${at.port}: another program has that port`,
        { cause: error },
      )
    }
    await writeFileAtomic(this.#recordFile, `${JSON.stringify(this.#serving?.at)}\n`)
  }

  /** `on` is for `server.listen`: a descriptor, an address, or a socket that came from the keeper. */
  async #serve(on: object): Promise<void> {
    const { api, log } = this.#options
    const server = createTlsServer({ certificates: await this.#certificates(), api })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(on, resolve)
    })
    const { address, port } = server.address() as AddressInfo
    this.#serving = { server, at: { address, port } }
    log('info', 'the API is served over TCP', { address, port })
  }

  #certificates(): Promise<Certificates> {
    const { folder, clock } = this.#options
    return ensureCertificates({ folder: join(folder, 'tls'), now: clock.now() })
  }

  async #recorded(): Promise<ListenAddress | undefined> {
    const text = await readFile(this.#recordFile, 'utf8').catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    })
    return text === undefined ? undefined : (JSON.parse(text) as ListenAddress)
  }

  get #recordFile(): string {
    return join(this.#options.folder, 'listen.json')
  }
}

function suits(present: ListenAddress, asked: ListenAddress | undefined): boolean {
  if (!asked) return true
  return present.address === asked.address && (asked.port === 0 || asked.port === present.port)
}
