import { codes } from '../../base/codes.ts'
import { type BerthError, isBerthError, messageOf, toldError } from '../../base/error.ts'

/** An answer that says what went wrong: docker's `{"message"}`, and for berth's client hint, cause and details. */
export interface ErrorAnswer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** Why the kernel did not run a program, in the words that docker's clients look for (exit codes 127 and 126). */
const programReasons: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'is a directory',
  ENOEXEC: 'exec format error',
}

/** Docker's status for an error: a program that cannot be run is the caller's mistake, as with dockerd. */
export function answerOfError(thrown: unknown): ErrorAnswer {
  const error = toldError(thrown)
  if (!isBerthError(error)) return { status: 500, body: { message: messageOf(error) } }
  const program = programMessage(error)
  return {
    status: program === undefined ? codes[error.code].http : 400,
    body: {
      message: program ?? error.message,
      ...(error.hint !== undefined && { hint: error.hint }),
      ...(error.cause !== undefined && { cause: messageOf(error.cause) }),
      ...(error.details !== undefined && { details: error.details }),
    },
  }
}

/** The message of a start that failed because of the program; undefined for any other error. */
export function programMessage({ details }: BerthError): string | undefined {
  if (typeof details?.exitCode !== 'number' || typeof details.call !== 'string') return undefined
  const program = details.call.replace(/^execve /, '')
  const missing = details.errno === 'ENOENT' && !program.includes('/')
  const reason = missing
    ? 'executable file not found in $PATH'
    : (programReasons[String(details.errno)] ?? details.errno)
  return `unable to start container process: exec: "${program}": ${reason}`
}
