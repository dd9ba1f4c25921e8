import { BerthError } from '../base/error.ts'

/** One line of a watch is one object, which the server limits to 3 MiB. */
const lineLimitBytes = 16 * 1024 * 1024

/** Splits a stream of bytes into lines. What follows the last line break is a line too. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true })
    let start = 0
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n', start)) {
      if (end > start) yield rest.slice(start, end)
      start = end + 1
    }
    rest = rest.slice(start)
    if (rest.length > lineLimitBytes) {
      throw new BerthError('INVALID', `A line of the answer is longer than ${lineLimitBytes} bytes`)
    }
  }
  if (rest !== '') yield rest
}

/** A whole body as text, up to a limit. */
export async function textOf(chunks: AsyncIterable<Uint8Array>, limitBytes: number): Promise<string> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const chunk of chunks) {
    size += chunk.length
    if (size > limitBytes) throw new BerthError('INVALID', `The answer is longer than ${limitBytes} bytes`)
    parts.push(chunk)
  }
  return Buffer.concat(parts).toString()
}
