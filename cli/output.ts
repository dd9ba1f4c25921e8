import { codes } from '../engine/base/codes.ts'
import { BerthError, isBerthError, messageOf } from '../engine/base/error.ts'

export type Format = 'text' | 'table' | 'json' | 'yaml'

/** A person's keyboard, or a pipe. */
export type Input = NodeJS.ReadableStream & { isTTY?: boolean; setRawMode?(raw: boolean): unknown }

/** The streams and environment that a command is given: the process's own, or a test's. */
export interface OutputStreams {
  readonly stdout: NodeJS.WritableStream & { isTTY?: boolean; columns?: number }
  readonly stderr: NodeJS.WritableStream & { isTTY?: boolean; columns?: number }
  readonly stdin?: Input
  readonly env: Readonly<Record<string, string | undefined>>
}

/**
 * Where a command writes. Results go to stdout, in the format asked for; progress, notes and errors to stderr.
 * Nothing is printed after the result: a caller may pipe it.
 */
export class Output {
  readonly streams: OutputStreams
  /** What `-o` asked for; `text` until the command line is parsed. */
  format: Format = 'text'
  /** What the process ends with. */
  exitCode = 0
  #interrupt: AbortController | undefined

  constructor(streams: OutputStreams) {
    this.streams = streams
  }

  /** Whether a person reads stdout. */
  get terminal(): boolean {
    return this.streams.stdout.isTTY === true
  }

  get env(): Readonly<Record<string, string | undefined>> {
    return this.streams.env
  }

  /** A line of the result. */
  line(text = ''): void {
    this.streams.stdout.write(`${text}\n`)
  }

  /** A part of the result as it is. */
  write(text: string | Uint8Array): void {
    this.streams.stdout.write(text)
  }

  /** A line for the person and not for the pipe: progress, a warning, a hint. */
  note(text: string): void {
    this.streams.stderr.write(`${plain(text)}\n`)
  }

  /** The result as a value, in JSON or YAML as asked (JSON for text and table). */
  async value(value: unknown): Promise<void> {
    if (this.format === 'yaml') {
      const { stringify } = await import('yaml')
      this.write(stringify(value, { aliasDuplicateObjects: false, lineWidth: 0 }))
    } else {
      this.line(JSON.stringify(value, null, 2))
    }
  }

  /** Aborted by the first Ctrl-C or SIGTERM; a second one ends the process at once with 130. */
  interruptible(): AbortSignal {
    if (!this.#interrupt) {
      const controller = new AbortController()
      this.#interrupt = controller
      for (const name of ['SIGINT', 'SIGTERM'] as const) {
        process.on(name, () => {
          if (controller.signal.aborted) process.exit(codes.INTERRUPTED.exit)
          controller.abort(new BerthError('INTERRUPTED', `Interrupted by ${name}`))
        })
      }
    }
    return this.#interrupt.signal
  }

  /** Prints an error in the form that `-o` asks for and sets the exit code: the error's own, or `exitCode`. */
  fail(error: unknown, exitCode?: number): void {
    const described = describeError(error)
    if (this.format === 'json')
      this.streams.stderr.write(`${JSON.stringify({ error: described }, null, 2)}\n`)
    else
      this.streams.stderr.write(
        formatError(described, this.streams.stderr.isTTY === true && !this.env.NO_COLOR),
      )
    const code = isBerthError(error) ? codes[error.code].exit : codes.INTERNAL.exit
    this.exitCode = exitCode ?? code
  }
}

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
export function describeError(error: unknown): ErrorDescription {
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
  const place = where && [`${where.file}${where.line === undefined ? '' : `:${where.line}`}`, where.path]
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
  let text = `${head} ${plain(error.message)}\n`
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
