export interface ByteRange {
  readonly start: number
  /** Inclusive. */
  readonly end: number
}

/**
 * The part of `size` bytes that a Range header asks for (RFC 9110, section 14). Undefined: the whole, also for what is
 * not well formed or asks for several parts, as the RFC allows. `unsatisfiable`: 416.
 */
export function parseRange(
  header: string | undefined,
  size: number,
): ByteRange | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '')
  if (!match || (match[1] === '' && match[2] === '')) return undefined
  if (match[1] === '') {
    const length = Math.min(Number(match[2]), size)
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size - 1 }
  }
  const start = Number(match[1])
  const end = match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1)
  if (start >= size || (match[2] !== '' && Number(match[2]) < start)) return 'unsatisfiable'
  return { start, end }
}

/** The Content-Range of an uploaded piece as the distribution specification writes it: `0-1023`. `wrong` when not so. */
export function parsePiece(header: string | undefined): ByteRange | 'wrong' | undefined {
  if (header === undefined) return undefined
  const match = /^(?:bytes[ =])?(\d+)-(\d+)(?:\/(?:\d+|\*))?$/.exec(header.trim())
  if (!match) return 'wrong'
  const piece = { start: Number(match[1]), end: Number(match[2]) }
  return piece.end + 1 < piece.start ? 'wrong' : piece
}
