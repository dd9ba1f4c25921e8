import type { ServerResponse } from 'node:http'

/** The error codes of the distribution specification, with the status that each is answered with. */
const failures = {
  BLOB_UNKNOWN: { status: 404, message: 'blob unknown to registry' },
  BLOB_UPLOAD_INVALID: { status: 400, message: 'blob upload invalid' },
  BLOB_UPLOAD_UNKNOWN: { status: 404, message: 'blob upload unknown to registry' },
  DIGEST_INVALID: { status: 400, message: 'provided digest did not match uploaded content' },
  MANIFEST_BLOB_UNKNOWN: {
    status: 404,
    message: 'manifest references a blob or manifest unknown to registry',
  },
  MANIFEST_INVALID: { status: 400, message: 'manifest invalid' },
  MANIFEST_UNKNOWN: { status: 404, message: 'manifest unknown to registry' },
  NAME_INVALID: { status: 400, message: 'invalid repository name' },
  NAME_UNKNOWN: { status: 404, message: 'repository name not known to registry' },
  TAG_INVALID: { status: 400, message: 'invalid tag' },
  RANGE_INVALID: { status: 416, message: 'range not satisfiable' },
  SIZE_INVALID: { status: 413, message: 'content too large' },
  UNAUTHORIZED: { status: 401, message: 'authentication required' },
  DENIED: { status: 403, message: 'requested access to the resource is denied' },
  UNSUPPORTED: { status: 405, message: 'the operation is unsupported' },
  NOT_FOUND: { status: 404, message: 'no such path' },
  UNKNOWN: { status: 500, message: 'unknown error' },
} as const

export type FailureCode = keyof typeof failures

/** A request that ends with one of the specification's errors; thrown, and answered in one place. */
export class Refusal {
  readonly code: FailureCode
  readonly detail: string | undefined
  readonly headers: Readonly<Record<string, string>>

  constructor(code: FailureCode, detail?: string, headers: Readonly<Record<string, string>> = {}) {
    this.code = code
    this.detail = detail
    this.headers = headers
  }
}

/** Answers without a body, or with one in memory. */
export function answer(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body?: Uint8Array | string,
): void {
  const length = body === undefined ? 0 : Buffer.byteLength(body)
  response.writeHead(status, status === 204 ? headers : { 'content-length': String(length), ...headers })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

/** Answers with JSON. */
export function answerJson(
  response: ServerResponse,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  answer(response, 200, { 'content-type': 'application/json', ...headers }, JSON.stringify(value))
}

/** Answers with an error in the specification's form. */
export function refuse(response: ServerResponse, refusal: Refusal): void {
  const { status, message } = failures[refusal.code]
  const entry = { code: refusal.code, message: refusal.detail ?? message }
  answer(
    response,
    status,
    { 'content-type': 'application/json', ...refusal.headers },
    JSON.stringify({ errors: [entry] }),
  )
}
