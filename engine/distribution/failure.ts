import type { Code } from '../base/codes.ts'
import { BerthError, messageOf } from '../base/error.ts'
import { failureOf } from './retry.ts'

/** One entry of the `errors` that the distribution specification defines. */
export interface RegistryErrorEntry {
  readonly code: string
  readonly message: string
}

/** Reads a registry's error body; a proxy's HTML or nothing gives an empty list. */
export function parseErrorBody(body: string): RegistryErrorEntry[] {
  try {
    const value = JSON.parse(body)
    // Token servers answer {"details": …} or OAuth's {"error", "error_description"}.
    if (!Array.isArray(value?.errors)) {
      const message = value?.details ?? value?.error_description ?? value?.message
      return typeof message === 'string'
        ? [{ code: String(value.error ?? 'ERROR'), message: clean(message) }]
        : []
    }
    return value.errors.map((one: { code?: unknown; message?: unknown }) => ({
      code: clean(String(one?.code ?? 'UNKNOWN')),
      message: clean(String(one?.message ?? '')),
    }))
  } catch {
    return []
  }
}

const statusCode: Readonly<Record<number, Code>> = { 401: 'UNAUTHORIZED', 403: 'FORBIDDEN', 404: 'NOT_FOUND' }

/** The error for an answer that is none of those expected. `action` begins the message: `Cannot pull "redis:7"`. */
export function answerError(
  action: string,
  answer: { registry: string; status: number; body: string },
): BerthError {
  const [first] = parseErrorBody(answer.body)
  const what = first
    ? `${answer.status} (${first.code}${first.message === '' ? '' : `: ${first.message}`})`
    : `${answer.status}`
  const code = statusCode[answer.status] ?? (answer.status === 429 ? 'UNAVAILABLE' : 'REGISTRY')
  const hint = action.startsWith('Cannot log in') ? 'look at name and password' : hintFor(code, answer)
  return new BerthError(code, `${action}: registry ${answer.registry} answered ${what}`, {
    ...(hint === undefined ? {} : { hint }),
    details: {
      registry: answer.registry,
      status: answer.status,
      ...(first ? { registryCode: first.code, registryMessage: first.message } : {}),
    },
  })
}

function hintFor(code: Code, answer: { registry: string; status: number }): string | undefined {
  if (answer.status === 429)
    return 'the registry limits how much is pulled: log in, wait, or configure a mirror'
  if (code === 'UNAUTHORIZED' || code === 'FORBIDDEN') {
    return `the repository is private or does not exist: berth registry login ${answer.registry === 'docker.io' ? '' : answer.registry}`.trim()
  }
  return code === 'NOT_FOUND' ? 'look at the spelling of repository and tag' : undefined
}

/** The error for a connection that failed. */
export function connectionError(action: string, registry: string, cause: unknown): BerthError {
  if (cause instanceof BerthError) return cause
  const failure = failureOf(cause) ?? ''
  const tls = /CERT|SELF_SIGNED|SSL|ERR_TLS|UNABLE_TO/.test(failure)
  const hint = tls
    ? `its certificate is not trusted here: configure registries: {"${registry}": {"ca": FILE}}, or "insecure": true`
    : `look whether the registry runs and this machine reaches it (proxy: HTTPS_PROXY)`
  return new BerthError(
    'UNAVAILABLE',
    `${action}: cannot reach registry ${registry}: ${clean(messageOf(cause)) || failure}`,
    {
      hint,
      cause,
      details: { registry, failure },
    },
  )
}

function clean(text: string): string {
  return text
    .replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
    .slice(0, 500)
    .trim()
}
