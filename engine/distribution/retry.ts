import { BerthError, errnoOf } from '../base/error.ts'

/** What became of one request. */
export type Outcome = { readonly status: number; readonly retryAfter?: string } | { readonly error: unknown }

/** Retries after the first attempt. */
const maximumRetries = 4

/** Failures of a connection that another attempt may not meet. A refused connection or an unknown host is told at once. */
const passing = new Set([
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'UND_ERR_SOCKET',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
])

/** The name of a connection's failure, looked for in causes too: `ECONNRESET`, `UND_ERR_SOCKET`. */
export function failureOf(error: unknown): string | undefined {
  for (let one = error; one instanceof Error; one = one.cause) {
    const code = errnoOf(one) ?? (one as { code?: unknown }).code
    if (typeof code === 'string' && !(one instanceof BerthError)) return code
  }
  return undefined
}

/** Whether the same request may succeed later: too many requests, a server's trouble, a cut connection. */
function isPassing(outcome: Outcome): boolean {
  if ('status' in outcome) return outcome.status === 429 || (outcome.status >= 500 && outcome.status !== 501)
  return passing.has(failureOf(outcome.error) ?? '')
}

/**
 * How long to wait before retry number `attempt` (from 0), or undefined to give up: 200 ms, 400 ms, … with up to half
 * of it added by `random` (0 to 1), so that many clients do not come back together; what the server asks for in
 * Retry-After is kept, up to a minute.
 */
export function retryDelayMs(outcome: Outcome, attempt: number, random: number): number | undefined {
  if (attempt >= maximumRetries || !isPassing(outcome)) return undefined
  const backOff = 200 * 2 ** attempt * (1 + random / 2)
  const asked = 'status' in outcome ? Number(outcome.retryAfter) * 1000 : Number.NaN
  return Number.isFinite(asked) && asked >= 0 ? Math.min(Math.max(asked, backOff), 60_000) : backOff
}
