import { isBerthError, messageOf, toldError } from './error.ts'

/** An error as `-o json` prints it. */
export interface ErrorDescription {
  readonly code: string
  readonly message: string
  readonly where?: string
  readonly cause?: string
  readonly hint?: string
  readonly details?: Readonly<Record<string, unknown>>
  /** Only of defects: where in berth it happened. */
  readonly stack?: string
}

/** The parts of an error that a person or a program is told. */
export function describeError(thrown: unknown): ErrorDescription {
  const error = toldError(thrown)
  if (!isBerthError(error)) {
    const stack = error instanceof Error ? error.stack : undefined
    return {
      code: 'INTERNAL',
      message: `Unexpected: ${messageOf(error)}`,
      hint: 'this is a defect of berth: please report it with the lines above',
      ...(stack !== undefined && { stack }),
    }
  }
  const where = error.where
  const place = where && [
    [where.file, where.line, where.column].filter((s) => s !== undefined).join(':'),
    where.path,
  ]
  const causes: string[] = []
  for (let c: unknown = error.cause; c !== undefined && causes.length < 4; c = (c as Error | null)?.cause) {
    const text = messageOf(c)
    if (text !== '' && !error.message.includes(text) && !causes.some((known) => known.includes(text)))
      causes.push(text)
  }
  return {
    code: error.code,
    message: error.message,
    ...(place && { where: place.filter((s) => s !== undefined).join(' → ') }),
    ...(causes.length > 0 && { cause: causes.join(': ') }),
    ...(error.hint !== undefined && { hint: error.hint }),
    ...(error.details !== undefined && { details: error.details }),
  }
}

/**
 * The form for people:
 * ```
 * Error: Cannot …
 *   where  file:line → path
 *   cause  …
 *   hint   …
 * ```
 */
export function formatError(error: ErrorDescription, color = false): string {
  const head = color ? '\u001b[1;31mError:\u001b[0m' : 'Error:'
  let text = `${head} ${plain(error.message).trimEnd()}\n`
  if (error.stack !== undefined) text += `${plain(error.stack)}\n`
  for (const key of ['where', 'cause', 'hint'] as const) {
    const value = error[key]
    if (value !== undefined) text += `  ${key.padEnd(6)} ${plain(value).replace(/\n/g, '\n         ')}\n`
  }
  return text
}

/** Text from elsewhere without what could steer a terminal; line ends and tabs stay. */
export function plain(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (c) =>
    c === '\r' ? '' : `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}
