import type { Transport } from './transport.ts'

/** What the API's handler is without HTTP: `serve` of `engine/api`, as far as this transport needs it. */
export type Handler = (request: {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Uint8Array
  readonly signal: AbortSignal
}) => Promise<{
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body: string | AsyncIterable<string | Uint8Array>
}>

/** A transport to a handler in this process. */
export function inProcessTransport(handler: Handler): Transport {
  return {
    async send({ method, path, headers, body = '' }, signal) {
      const mark = path.indexOf('?')
      const answer = await handler({
        method,
        path: mark < 0 ? path : path.slice(0, mark),
        query: new URLSearchParams(mark < 0 ? '' : path.slice(mark + 1)),
        headers,
        body: typeof body === 'string' ? Buffer.from(body) : body,
        signal,
      })
      return { status: answer.status, headers: answer.headers, body: bytes(answer.body) }
    },
  }
}

async function* bytes(body: string | AsyncIterable<string | Uint8Array>): AsyncGenerator<Uint8Array> {
  if (typeof body === 'string') yield Buffer.from(body)
  else for await (const piece of body) yield typeof piece === 'string' ? Buffer.from(piece) : piece
}
