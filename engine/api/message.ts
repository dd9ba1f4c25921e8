import { setImmediate as turn } from 'node:timers/promises'

/** A request to the Kubernetes API, however it came: over HTTP, or from inside the process. */
export interface ApiRequest {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly query: URLSearchParams
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Uint8Array
  /** Aborts when the client went away; ends watches and followed logs. */
  readonly signal: AbortSignal
}

export interface ApiResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  /** A text that is whole, or pieces as they come. */
  readonly body: string | AsyncIterable<string | Uint8Array>
}

/** A JSON answer. */
export function jsonResponse(
  status: number,
  value: unknown,
  headers: ApiResponse['headers'] = {},
): ApiResponse {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: `${JSON.stringify(value)}\n`,
  }
}

/** A plain text answer. */
export function textResponse(status: number, body: ApiResponse['body']): ApiResponse {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body }
}

/** As many objects as are made into text at a time: some milliseconds. */
const listChunk = 100

/** A JSON answer whose `items` or `rows` may be many: between pieces the event loop serves others. */
export function listResponse(value: { readonly [field: string]: unknown }): ApiResponse {
  const name = 'rows' in value ? 'rows' : 'items'
  const { [name]: list, ...rest } = value
  if (!Array.isArray(list) || list.length <= listChunk) return jsonResponse(200, value)
  const head = `${JSON.stringify(rest).slice(0, -1)},${JSON.stringify(name)}:[`
  return { ...jsonResponse(200, {}), body: listPieces(head, list) }
}

async function* listPieces(head: string, list: readonly unknown[]): AsyncGenerator<string> {
  yield head
  for (let at = 0; at < list.length; at += listChunk) {
    const text = JSON.stringify(list.slice(at, at + listChunk)).slice(1, -1)
    yield at === 0 ? text : `,${text}`
    await turn()
  }
  yield ']}\n'
}
