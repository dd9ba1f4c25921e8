import type { IncomingMessage, ServerResponse } from 'node:http'
import { BerthError } from '../../base/error.ts'

/** A request's JSON is at most this large; docker's own clients stay far below. */
const maxBodyBytes = 4 << 20

/** One request and its answer. `signal` is aborted when the client goes away. */
export class Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly query: URLSearchParams
  readonly signal: AbortSignal
  /** What the route's pattern captured. */
  readonly parameters: readonly string[]
  /** `[1, 41]`. */
  readonly version: readonly [number, number]

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    route: {
      readonly query: URLSearchParams
      readonly parameters: readonly string[]
      readonly version: readonly [number, number]
    },
  ) {
    this.request = request
    this.response = response
    this.query = route.query
    this.parameters = route.parameters
    this.version = route.version
    const gone = new AbortController()
    response.on('close', () => gone.abort(new BerthError('INTERRUPTED', 'The client went away')))
    this.signal = gone.signal
  }

  /** Whether the client speaks at least this minor version of API 1. */
  speaks(minor: number): boolean {
    return this.version[1] >= minor
  }

  flag(name: string): boolean {
    const value = this.query.get(name)
    return value !== null && !['', '0', 'no', 'false', 'none'].includes(value.trim().toLowerCase())
  }

  number(name: string): number | undefined {
    const value = this.query.get(name)
    if (value === null || value === '') return undefined
    const number = Number(value)
    if (!Number.isFinite(number))
      throw new BerthError('INVALID', `Cannot read "${value}" of "${name}" as a number`)
    return number
  }

  /** The body's JSON; an empty body is an empty object. */
  async body<T extends object>(): Promise<Partial<T>> {
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of this.request) {
      size += chunk.length
      if (size > maxBodyBytes) throw new BerthError('INVALID', 'The body of the request is larger than 4 MiB')
      chunks.push(chunk)
    }
    return parseBody<T>(Buffer.concat(chunks).toString())
  }

  json(value: unknown, status = 200): void {
    const content = JSON.stringify(value)
    this.response.writeHead(status, {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(content) + 1,
    })
    this.response.end(`${content}\n`)
  }

  empty(status = 204): void {
    this.response.writeHead(status)
    this.response.end()
  }

  /** Sends the head at once; the rest follows in `write`s. */
  open(type: string): void {
    this.response.writeHead(200, { 'Content-Type': type })
    this.response.flushHeaders()
  }

  /** Writes with back-pressure: resolves when there is room for more. */
  async write(content: string | Uint8Array): Promise<void> {
    if (this.response.destroyed)
      throw this.signal.reason ?? new BerthError('INTERRUPTED', 'The client went away')
    if (this.response.write(content)) return
    await new Promise<void>((resolve) => {
      const done = () => {
        this.response.off('drain', done)
        this.response.off('close', done)
        resolve()
      }
      this.response.on('drain', done)
      this.response.on('close', done)
    })
  }
}

/** A JSON object from a request's text. */
export function parseBody<T extends object>(text: string): Partial<T> {
  if (text.trim() === '') return {}
  try {
    const value: unknown = JSON.parse(text)
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value as Partial<T>
  } catch (error) {
    throw new BerthError('INVALID', 'Cannot read the body of the request as JSON', { cause: error })
  }
  throw new BerthError('INVALID', 'The body of the request should be a JSON object')
}
