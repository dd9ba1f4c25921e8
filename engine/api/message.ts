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
