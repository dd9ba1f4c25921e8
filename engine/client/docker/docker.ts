import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'
import { BerthError } from '../../base/error.ts'
import { errorOfAnswer, errorOfConnection } from './errors.ts'

/** The API version that the client speaks: every engine since Docker 20.10, and berth, has it. */
const apiVersion = '1.41'

/** An answer is read whole only up to here; streams are not limited. */
const maxAnswerBytes = 64 << 20

type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

export interface CallOptions {
  readonly query?: Query
  /** Sent as JSON. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** A connection taken over for bytes in both directions; reading ends when the other side is done. */
export interface Hijacked {
  readonly socket: Socket
  /** What arrived together with the answer's head. */
  readonly head: Buffer
}

/**
 * Docker's Engine API over a Unix socket: berth's daemon, or a real dockerd. Every call is a connection of its own,
 * so a stream never blocks a request. Failures are `BerthError`s with the engine's own message.
 */
export class DockerClient {
  readonly socketPath: string

  constructor(socketPath: string) {
    this.socketPath = socketPath
  }

  /** One request with a JSON answer; undefined when the answer has no body. */
  async json<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const response = await this.stream(method, path, options)
    const text = await bodyOf(response)
    return (text === '' ? undefined : JSON.parse(text)) as T
  }

  /** A JSON value per line, as they arrive: progress of a pull, events. */
  async *lines<T>(method: string, path: string, options: CallOptions = {}): AsyncGenerator<T> {
    const response = await this.stream(method, path, options)
    let rest = ''
    const decoder = new TextDecoder()
    try {
      for await (const chunk of response) {
        rest += decoder.decode(chunk, { stream: true })
        const lines = rest.split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) if (line.trim() !== '') yield JSON.parse(line)
      }
    } catch (error) {
      throw error instanceof BerthError ? error : errorOfConnection(error, this.socketPath)
    }
    if (rest.trim() !== '') yield JSON.parse(rest)
  }

  /** A request whose answer is read as it comes. Rejects with the engine's error when the status is 400 or more. */
  stream(method: string, path: string, options: CallOptions = {}): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const outgoing = this.#request(method, path, options)
    outgoing.on('response', (response) => this.#settle(response, resolve, reject))
    outgoing.on('error', (error) =>
      reject(options.signal?.aborted ? options.signal.reason : this.#lost(error)),
    )
    return promise
  }

  /** Upgrades the connection to a raw stream (attach, exec start). */
  hijack(path: string, options: CallOptions = {}): Promise<Hijacked> {
    const { promise, resolve, reject } = Promise.withResolvers<Hijacked>()
    const headers = { ...options.headers, Connection: 'Upgrade', Upgrade: 'tcp' }
    const outgoing = this.#request('POST', path, { ...options, headers })
    outgoing.on('upgrade', (_response, socket, head) => resolve({ socket: socket as Socket, head }))
    outgoing.on('response', (response) => {
      const unexpected = () => reject(new BerthError('INTERNAL', 'The daemon did not open a stream'))
      this.#settle(response, unexpected, reject)
    })
    outgoing.on('error', (error) =>
      reject(options.signal?.aborted ? options.signal.reason : this.#lost(error)),
    )
    return promise
  }

  #request(method: string, path: string, { query, body, headers, signal }: CallOptions): ClientRequest {
    const content = body === undefined ? undefined : JSON.stringify(body)
    const outgoing = request({
      socketPath: this.socketPath,
      method,
      path: `/v${apiVersion}${path}${queryText(query)}`,
      headers: {
        Host: 'berth',
        ...(content !== undefined && {
          'Content-Type': 'application/json',
          'Content-Length': Buffer.byteLength(content),
        }),
        ...headers,
      },
      agent: false,
      ...(signal && { signal }),
    })
    outgoing.end(content)
    return outgoing
  }

  #settle(
    response: IncomingMessage,
    resolve: (r: IncomingMessage) => void,
    reject: (e: Error) => void,
  ): void {
    const status = response.statusCode ?? 0
    if (status < 400) resolve(response)
    else bodyOf(response).then((text) => reject(errorOfAnswer(status, text)), reject)
  }

  #lost(error: unknown): BerthError {
    return errorOfConnection(error, this.socketPath)
  }
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response) {
    size += chunk.length
    if (size > maxAnswerBytes) throw new BerthError('INTERNAL', "The daemon's answer is larger than 64 MiB")
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function queryText(query: Query = {}): string {
  const parts = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined) continue
    if (typeof value === 'object') for (const item of value) parts.append(key, item)
    else parts.append(key, String(value))
  }
  const text = parts.toString()
  return text === '' ? '' : `?${text}`
}
