import type { Code } from './codes.ts'

/** A place in a source that a person can open: a chart's file, or a field of a rendered object. */
export interface SourcePosition {
  readonly file: string
  readonly line?: number
  readonly column?: number
  /** Path of the field or object, such as `Deployment/web → container "app"`. */
  readonly path?: string
}

export interface BerthErrorOptions {
  /** What to do next: a command, or one sentence. */
  readonly hint?: string
  readonly where?: SourcePosition
  /** Facts for programs; never secrets. */
  readonly details?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

/**
 * The one error class. The message is in sentence case without a full stop, the action first, values quoted:
 * what is and what should be.
 */
export class BerthError extends Error {
  readonly code: Code
  readonly hint: string | undefined
  readonly where: SourcePosition | undefined
  readonly details: Readonly<Record<string, unknown>> | undefined

  constructor(code: Code, message: string, options: BerthErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'BerthError'
    this.code = code
    this.hint = options.hint
    this.where = options.where
    this.details = options.details
  }
}

/** Whether `error` is a `BerthError`, and, when codes are given, one of these. */
export function isBerthError(error: unknown, ...only: Code[]): error is BerthError {
  return error instanceof BerthError && (only.length === 0 || only.includes(error.code))
}

/** The message of anything that was thrown, in one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.replace(/\s*\n\s*/g, ' ').trim()
}

/** The system call's error name, such as `ENOENT`, when `error` is one of Node's system errors. */
export function errnoOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined
}

/** A system error as people are told it where one has a meaning for them; anything else as it is. */
export function toldError(error: unknown): unknown {
  const errno = errnoOf(error)
  if (errno !== 'ENOSPC' && errno !== 'EDQUOT') return error
  const { syscall = 'write', path } = error as NodeJS.ErrnoException
  return new BerthError(
    'NO_SPACE',
    `Cannot ${syscall}${path === undefined ? '' : ` "${path}"`}: the disk is full`,
    { hint: 'free space on the disk of the root folder', cause: error },
  )
}
