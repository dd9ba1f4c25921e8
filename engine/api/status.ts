import { codes } from '../base/codes.ts'
import { BerthError, messageOf } from '../base/error.ts'
import { type Kind, kinds } from '../object/kinds.ts'
import { groupKindOf } from '../store/object.ts'

/** An error or a success as the Kubernetes API tells it. */
export interface Status {
  readonly kind: 'Status'
  readonly apiVersion: 'v1'
  readonly metadata: object
  readonly status: 'Failure' | 'Success'
  readonly message?: string
  readonly reason?: string
  readonly details?: StatusDetails
  readonly code: number
}

interface StatusDetails {
  readonly name?: string
  readonly group?: string
  readonly kind?: string
  readonly uid?: string
  readonly causes?: readonly StatusCause[]
  readonly retryAfterSeconds?: number
}

interface StatusCause {
  readonly reason?: string
  readonly message: string
  readonly field?: string
}

interface Failure {
  readonly code: number
  readonly reason: string
  readonly message: string
  readonly details?: StatusDetails
}

/** A failure in its wire form. */
export function failure({ code, reason, message, details }: Failure): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    ...(details ? { details } : {}),
    code,
  }
}

/** What a path that names nothing gets. */
export const unknownPath = failure({
  code: 404,
  reason: 'NotFound',
  message: 'the server could not find the requested resource',
  details: {},
})

export const methodNotAllowed = failure({
  code: 405,
  reason: 'MethodNotAllowed',
  message: 'the server does not allow this method on the requested resource',
  details: {},
})

/** The answer to a deletion that is done. */
export function deleted(kind: Kind, name: string, uid: string): object {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { name, ...(kind.group === '' ? {} : { group: kind.group }), kind: kind.plural, uid },
  }
}

/** The Status of anything that was thrown, in kube-apiserver's words where clients look at them. */
export function statusOf(error: unknown): Status {
  if (!(error instanceof BerthError)) {
    return failure({
      code: 500,
      reason: 'InternalError',
      message: `Internal error occurred: ${messageOf(error)}`,
      details: { causes: [{ message: messageOf(error) }] },
    })
  }
  const subject = subjectOf(error)
  const rule = rules[error.code]
  return failure(
    rule
      ? rule(error, subject)
      : { code: codes[error.code].http, reason: 'InternalError', message: error.message },
  )
}

interface Subject {
  readonly details: StatusDetails
  /** `deployments.apps "web"`. */
  readonly text: string
  readonly known: boolean
}

type Facts = Readonly<Record<string, unknown>>

const rules: Partial<Record<BerthError['code'], (error: BerthError, subject: Subject) => Failure>> = {
  NOT_FOUND: (error, { text, details, known }) => ({
    code: 404,
    reason: 'NotFound',
    message: known ? `${text} not found` : error.message,
    details,
  }),
  ALREADY_EXISTS: (error, { text, details, known }) => ({
    code: 409,
    reason: 'AlreadyExists',
    message: known ? `${text} already exists` : error.message,
    details,
  }),
  CONFLICT: conflict,
  FORBIDDEN: forbidden,
  UNPROCESSABLE: invalid,
  INVALID: (error) => ({ code: 400, reason: 'BadRequest', message: error.message }),
  USAGE: (error) => ({ code: 400, reason: 'BadRequest', message: error.message }),
  GONE: (error) => ({ code: 410, reason: 'Expired', message: `too old resource version: ${error.message}` }),
  UNAUTHORIZED: (error) => ({ code: 401, reason: 'Unauthorized', message: error.message }),
  TIMEOUT: (error) => ({ code: 504, reason: 'Timeout', message: error.message }),
  UNAVAILABLE: (error) => ({ code: 503, reason: 'ServiceUnavailable', message: error.message }),
  UNSUPPORTED: (error) => ({ code: 501, reason: 'NotImplemented', message: error.message }),
}

function conflict(error: BerthError, { text, details }: Subject): Failure {
  const facts: Facts = error.details ?? {}
  if (Array.isArray(facts.conflicts)) {
    const causes = (facts.conflicts as StatusCause[]).map((cause) => ({
      reason: 'FieldManagerConflict',
      ...cause,
    }))
    return { code: 409, reason: 'Conflict', message: error.message, details: { causes } }
  }
  const why = facts.precondition
    ? `the UID in the precondition (${facts.given}) does not match the UID in record (${facts.have}). The object might have been deleted and then recreated`
    : 'the object has been modified; please apply your changes to the latest version and try again'
  return {
    code: 409,
    reason: 'Conflict',
    message: `Operation cannot be fulfilled on ${text}: ${why}`,
    details,
  }
}

function forbidden(error: BerthError, { text, details }: Subject): Failure {
  const facts: Facts = error.details ?? {}
  if (!facts.terminating) return { code: 403, reason: 'Forbidden', message: error.message, details }
  const why = `unable to create new content in namespace ${facts.namespace} because it is being terminated`
  return {
    code: 403,
    reason: 'Forbidden',
    message: `${text} is forbidden: ${why}`,
    details: {
      ...details,
      causes: [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${facts.namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    },
  }
}

function invalid(error: BerthError): Failure {
  const { name, group, kind, causes } = (error.details ?? {}) as StatusDetails
  return {
    code: 422,
    reason: 'Invalid',
    message: error.message,
    details: {
      ...(name ? { name } : {}),
      ...(group ? { group } : {}),
      ...(kind ? { kind } : {}),
      ...(causes ? { causes } : {}),
    },
  }
}

/** Whom an error of the store is about, by the plural name that clients know. */
function subjectOf({ details }: BerthError): Subject {
  const { groupKind, name = '' } = (details ?? {}) as { groupKind?: string; name?: string }
  const kind = kinds.find((k) => groupKindOf({ apiVersion: `${k.group}/`, kind: k.kind }) === `${groupKind}`)
  const core = kinds.find((k) => k.group === '' && k.kind === groupKind)
  const found = core ?? kind
  if (!found) return { details: { name }, text: JSON.stringify(name), known: false }
  const { group, plural } = found
  return {
    details: { name, ...(group === '' ? {} : { group }), kind: plural },
    text: `${plural}${group === '' ? '' : `.${group}`} ${JSON.stringify(name)}`,
    known: true,
  }
}
