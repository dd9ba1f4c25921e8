/** What carries requests to an API server: a socket, TLS, or the daemon's own handler without HTTP. */
export interface Transport {
  /**
   * Sends one request. Resolves with the head of the answer, whatever its status; the body follows. Rejects with
   * `UNAVAILABLE` when nobody answers, `INTERRUPTED` when `signal` aborts. A body that is cut short throws while it
   * is read.
   */
  send(request: TransportRequest, signal: AbortSignal): Promise<TransportResponse>
}

export interface TransportRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

export interface TransportResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: AsyncIterable<Uint8Array>
}
