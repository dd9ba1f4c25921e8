import * as http from 'node:http'
import * as https from 'node:https'
import { BerthError, errnoOf, messageOf } from '../base/error.ts'
import type { Transport, TransportRequest, TransportResponse } from './transport.ts'

/** Where an API server is. */
export type Address =
  | { readonly socketPath: string }
  | {
      readonly url: string
      /** PEM. */
      readonly ca?: string
      readonly cert?: string
      readonly key?: string
      readonly token?: string
      /** The name in the server's certificate when it is not the URL's. */
      readonly serverName?: string
      readonly insecure?: boolean
    }

/**
 * Requests by `node:http`: the command line starts without undici. Connections are kept and used again; a read on a
 * kept connection that turns out closed is sent once more. Nobody knows whether a write was begun before its connection
 * closed: on a socket, where connecting costs nothing, writes have connections of their own.
 */
export class HttpTransport implements Transport, Disposable {
  readonly #agent: http.Agent
  readonly #options: http.RequestOptions
  readonly #request: typeof http.request
  readonly #where: string
  readonly #headers: Readonly<Record<string, string>>

  constructor(address: Address) {
    if ('socketPath' in address) {
      this.#agent = new http.Agent({ keepAlive: true })
      this.#options = { socketPath: address.socketPath }
      this.#request = http.request
      this.#where = `unix://${address.socketPath}`
      this.#headers = { host: 'berth' }
      return
    }
    const { url, ca, cert, key, token, serverName, insecure } = address
    const { protocol, hostname, port, pathname } = new URL(url)
    const tls = {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(serverName === undefined ? {} : { servername: serverName }),
      ...(insecure ? { rejectUnauthorized: false } : {}),
    }
    const isTls = protocol === 'https:'
    this.#agent = isTls ? new https.Agent({ keepAlive: true, ...tls }) : new http.Agent({ keepAlive: true })
    this.#request = isTls ? https.request : http.request
    this.#options = {
      host: hostname.replace(/^\[|\]$/g, ''),
      port: port === '' ? (isTls ? 443 : 80) : Number(port),
      path: pathname.replace(/\/$/, ''),
    }
    this.#where = url
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  }

  async send(request: TransportRequest, signal: AbortSignal): Promise<TransportResponse> {
    try {
      return await this.#once(request, signal)
    } catch (error) {
      if (error instanceof StaleConnection) return await this.#once(request, signal)
      throw error
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }

  #once({ method, path, headers, body }: TransportRequest, signal: AbortSignal): Promise<TransportResponse> {
    return new Promise((resolve, reject) => {
      const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
      const request = this.#request({
        ...this.#options,
        agent: method === 'GET' || !this.#options.socketPath ? this.#agent : false,
        method,
        path: `${this.#options.path ?? ''}${path}`,
        headers: { ...this.#headers, ...headers, ...length },
        signal,
      })
      request.once('response', (response) => {
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: chunks(response, { where: this.#where, signal }),
        })
      })
      request.once('error', (error) => {
        const isStale =
          method === 'GET' && request.reusedSocket && errnoOf(error) === 'ECONNRESET' && !signal.aborted
        reject(isStale ? new StaleConnection() : unavailable(error, this.#where, signal))
      })
      request.end(body)
    })
  }
}

/** Internal: the server had closed a kept connection before the request reached it. */
class StaleConnection extends Error {}

async function* chunks(
  response: http.IncomingMessage,
  { where, signal }: { readonly where: string; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  try {
    yield* response as AsyncIterable<Uint8Array>
  } catch (error) {
    throw unavailable(error, where, signal)
  }
}

function unavailable(error: unknown, where: string, signal: AbortSignal): BerthError {
  if (signal.aborted) return new BerthError('INTERRUPTED', 'The request was ended', { cause: error })
  const errno = errnoOf(error)
  if (errno === 'EACCES' || errno === 'EPERM') {
    return new BerthError('FORBIDDEN', `Cannot connect to ${where}: no permission`, {
      hint: 'run as root, or as a member of the group "berth"',
      cause: error,
    })
  }
  const isMissing = errno === 'ENOENT' || errno === 'ECONNREFUSED'
  return new BerthError('UNAVAILABLE', `Cannot connect to ${where}: ${messageOf(error)}`, {
    ...(isMissing && where.startsWith('unix:') ? { hint: 'start the daemon: berth daemon' } : {}),
    cause: error,
  })
}
