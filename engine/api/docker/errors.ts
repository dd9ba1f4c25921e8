import { codes } from '../../base/codes.ts'
import { isBerthError, messageOf } from '../../base/error.ts'

/** An answer that says what went wrong: docker's `{"message"}`, and for berth's client hint, cause and details. */
export interface ErrorAnswer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** Docker's status for an error: a kernel's refusal of a program is the caller's mistake, as with dockerd. */
export function answerOfError(error: unknown): ErrorAnswer {
  if (!isBerthError(error)) return { status: 500, body: { message: messageOf(error) } }
  const program = error.code === 'KERNEL' && typeof error.details?.exitCode === 'number'
  return {
    status: program ? 400 : codes[error.code].http,
    body: {
      message: error.message,
      ...(error.hint !== undefined && { hint: error.hint }),
      ...(error.cause !== undefined && { cause: messageOf(error.cause) }),
      ...(error.details !== undefined && { details: error.details }),
    },
  }
}
