import type { Code } from '../../base/codes.ts'
import { BerthError, errnoOf } from '../../base/error.ts'

const byStatus: Readonly<Record<number, Code>> = {
  400: 'INVALID',
  401: 'UNAUTHORIZED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  405: 'UNSUPPORTED',
  409: 'CONFLICT',
  410: 'GONE',
  422: 'UNPROCESSABLE',
  499: 'INTERRUPTED',
  501: 'UNSUPPORTED',
  502: 'REGISTRY',
  503: 'UNAVAILABLE',
  504: 'TIMEOUT',
  507: 'NO_SPACE',
}

/** What an engine's error answer says: docker's `{"message"}`, with berth's code, cause and hint when it sent them. */
export function errorOfAnswer(status: number, body: string): BerthError {
  const fallback = byStatus[status] ?? 'INTERNAL'
  let answer: { message?: unknown; hint?: unknown; cause?: unknown; details?: unknown } = {}
  try {
    const parsed: unknown = JSON.parse(body)
    if (parsed !== null && typeof parsed === 'object') answer = parsed
  } catch {
    // Not JSON: the text itself is the message.
  }
  const text = typeof answer.message === 'string' ? answer.message : body.trim()
  return new BerthError(fallback, text || `The daemon answered ${status}`, {
    ...(typeof answer.hint === 'string' && { hint: answer.hint }),
    ...(typeof answer.cause === 'string' && { cause: new Error(answer.cause) }),
    details: { ...(answer.details as object | undefined), status },
  })
}

/** A connection that failed: no daemon, no permission, or it went away in between. */
export function errorOfConnection(error: unknown, socketPath: string): BerthError {
  const errno = errnoOf(error)
  if (errno === 'ENOENT' || errno === 'ECONNREFUSED') {
    return new BerthError(
      'UNAVAILABLE',
      `Cannot reach the berth daemon at unix://${socketPath}: it is not running`,
      {
        hint: 'start it with: berth daemon (as root), or name another with --host or BERTH_HOST',
      },
    )
  }
  if (errno === 'EACCES' || errno === 'EPERM') {
    return new BerthError(
      'FORBIDDEN',
      `Cannot reach the berth daemon at unix://${socketPath}: permission denied`,
      {
        hint: 'run it as root, or as a member of the group berth (which equals root)',
      },
    )
  }
  return new BerthError('UNAVAILABLE', `Lost the connection to the daemon at unix://${socketPath}`, {
    cause: error,
  })
}
