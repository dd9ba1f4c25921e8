import type { LogLine, LogOptions } from './container.ts'

const newline = 10
const space = 32

/**
 * One line of a log in CRI's form, `TIME STREAM TAG CONTENT\n`: tag `F` is a whole line, `P` a piece of a longer one.
 * Undefined for what is not of this form (a line that a crash cut off).
 */
export function parseLogLine(line: Uint8Array): LogLine | undefined {
  const first = line.indexOf(space)
  const second = line.indexOf(space, first + 1)
  const third = line.indexOf(space, second + 1)
  if (first < 20 || second < 0 || third < 0) return undefined
  const ascii = (from: number, to: number) => String.fromCharCode(...line.subarray(from, to))
  const stream = ascii(first + 1, second)
  const tag = ascii(second + 1, third)
  if ((stream !== 'stdout' && stream !== 'stderr') || (tag !== 'F' && tag !== 'P')) return undefined
  const end = line.at(-1) === newline ? line.length - 1 : line.length
  const content = line.subarray(third + 1, tag === 'F' ? line.length : end)
  return { stream, time: ascii(0, first), content }
}

/** Cuts chunks into lines, each with its newline; what has none yet stays for the next chunk. */
export class LineSplitter {
  #rest: Uint8Array = new Uint8Array()

  push(chunk: Uint8Array): Uint8Array[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const lines: Uint8Array[] = []
    let start = 0
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
      lines.push(bytes.subarray(start, end + 1))
      start = end + 1
    }
    this.#rest = bytes.slice(start)
    return lines
  }

  /** Bytes that belong to no line yet. */
  get pending(): number {
    return this.#rest.length
  }
}

/** Whether the options want this line. `after`: it and all that follow are past `until`. */
export function wantsLine(line: LogLine, options: LogOptions): 'yes' | 'no' | 'after' {
  const time = Date.parse(line.time)
  if (options.until !== undefined && time > options.until) return 'after'
  if (options.since !== undefined && time < options.since) return 'no'
  return options[line.stream] ? 'yes' : 'no'
}
