import type { Code } from '../base/codes.ts'
import { BerthError } from '../base/error.ts'

const byReason: Readonly<Record<string, Code>> = {
  AlreadyExists: 'ALREADY_EXISTS',
  BadRequest: 'INVALID',
  Conflict: 'CONFLICT',
  Expired: 'GONE',
  Forbidden: 'FORBIDDEN',
  Gone: 'GONE',
  Invalid: 'UNPROCESSABLE',
  MethodNotAllowed: 'UNSUPPORTED',
  NotFound: 'NOT_FOUND',
  ServerTimeout: 'TIMEOUT',
  ServiceUnavailable: 'UNAVAILABLE',
  Timeout: 'TIMEOUT',
  TooManyRequests: 'UNAVAILABLE',
  Unauthorized: 'UNAUTHORIZED',
  UnsupportedMediaType: 'UNSUPPORTED',
  NotImplemented: 'UNSUPPORTED',
}

const byStatus: Readonly<Record<number, Code>> = {
  400: 'INVALID',
  401: 'UNAUTHORIZED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  405: 'UNSUPPORTED',
  409: 'CONFLICT',
  410: 'GONE',
  413: 'INVALID',
  415: 'UNSUPPORTED',
  422: 'UNPROCESSABLE',
  429: 'UNAVAILABLE',
  501: 'UNSUPPORTED',
  503: 'UNAVAILABLE',
  504: 'TIMEOUT',
  507: 'NO_SPACE',
}

/** The error that a Status of the API tells. `details` has `reason`, `status` (HTTP) and the Status' own details. */
export function statusError(httpStatus: number, body: unknown): BerthError {
  const { kind, message, reason, details, code } = (
    typeof body === 'object' && body !== null ? body : {}
  ) as {
    kind?: string
    message?: string
    reason?: string
    details?: Record<string, unknown>
    code?: number
  }
  const status = kind === 'Status' && code ? code : httpStatus
  const chosen = byReason[reason ?? ''] ?? byStatus[status] ?? 'INTERNAL'
  const text = message || (typeof body === 'string' ? body.slice(0, 500).trim() : '')
  return new BerthError(chosen, text || `The API server answered ${status}`, {
    details: { reason, status, ...details },
  })
}
