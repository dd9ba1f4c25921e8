import { codes } from '../engine/base/codes.ts'
import { describeError, formatError, plain } from '../engine/base/describe.ts'
import { BerthError, isBerthError } from '../engine/base/error.ts'

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
      const { stringify } = await import('./yaml.ts')
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
