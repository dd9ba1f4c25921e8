import { BerthError } from '../base/error.ts'

/**
 * An entry of a tar archive. Names, links and xattrs are byte strings (each character one byte, latin1), because the
 * archive's bytes need not be UTF-8: a name is what the file system gets, and `security.capability` is binary.
 */
export interface TarEntry {
  readonly type: 'file' | 'hardlink' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo'
  readonly path: string
  readonly link: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly sizeBytes: number
  /** Whole seconds, floored, and nanoseconds. */
  readonly modified: { readonly seconds: number; readonly nanoseconds: number }
  readonly major: number
  readonly minor: number
  readonly xattrs: Readonly<Record<string, string>>
}

export type TarItem = { readonly entry: TarEntry } | { readonly data: Buffer }

const types: Readonly<Record<string, TarEntry['type']>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
}
const block = 512
/** PAX records and GNU long names are read into memory. */
const metaLimitBytes = 1 << 20

/**
 * Reads a tar archive: ustar, PAX (POSIX.1-2001) and GNU's long names and big numbers. An entry is followed by its data
 * in pieces. The source is read to its end, also what follows the archive, so that a hash over it is a whole one.
 * tar-stream was measured and decodes PAX values as UTF-8, which destroys capabilities, and drops PAX owners and times.
 */
export async function* readTar(source: AsyncIterable<Buffer>): AsyncGenerator<TarItem> {
  const bytes = new Bytes(source)
  let pax: Record<string, string> = {}
  let longPath: string | undefined
  let longLink: string | undefined
  for (;;) {
    const header = await bytes.take(block)
    if (header === undefined || header.every((byte) => byte === 0)) break
    checkSum(header)
    const type = String.fromCharCode(header[156] ?? 0)
    const sizeBytes =
      pax.size === undefined || 'xgLK'.includes(type) ? number(header, 124, 12) : decimal(pax.size, 'size')
    if ('xgLK'.includes(type)) {
      const meta = await takePadded(bytes, sizeBytes)
      if (type === 'x') pax = parsePax(meta)
      if (type === 'L') longPath = text(meta, 0, meta.length)
      if (type === 'K') longLink = text(meta, 0, meta.length)
      continue
    }
    const entry = entryOf(header, { type, sizeBytes, pax, longPath, longLink })
    yield { entry }
    for (let left = entry.sizeBytes; left > 0; ) {
      const data = await bytes.some(left)
      left -= data.length
      yield { data }
    }
    await bytes.skip(padding(entry.sizeBytes))
    pax = {}
    longPath = undefined
    longLink = undefined
  }
  await bytes.drain()
}

function entryOf(
  header: Buffer,
  told: {
    type: string
    sizeBytes: number
    pax: Record<string, string>
    longPath: string | undefined
    longLink: string | undefined
  },
): TarEntry {
  const { pax } = told
  if (told.type === 'S' || Object.keys(pax).some((key) => key.startsWith('GNU.sparse.'))) {
    throw new BerthError('UNSUPPORTED', 'Cannot unpack layer: it holds a sparse file in GNU form', {
      hint: 'build the image again without tar --sparse',
    })
  }
  const magic = text(header, 257, 6)
  const prefix = magic === 'ustar' ? text(header, 345, 155) : ''
  const short = text(header, 0, 100)
  const path = pax.path ?? told.longPath ?? (prefix === '' ? short : `${prefix}/${short}`)
  const type = types[told.type]
  if (type === undefined) {
    throw new BerthError(
      'INVALID',
      `Cannot unpack layer: entry ${JSON.stringify(path)} has the unknown type ${JSON.stringify(told.type)}`,
    )
  }
  return {
    // Before POSIX a folder was a file whose name ends with a slash.
    type: type === 'file' && path.endsWith('/') ? 'directory' : type,
    path,
    link: pax.linkpath ?? told.longLink ?? text(header, 157, 100),
    mode: number(header, 100, 8) & 0o7777,
    uid: pax.uid === undefined ? number(header, 108, 8) : decimal(pax.uid, 'uid'),
    gid: pax.gid === undefined ? number(header, 116, 8) : decimal(pax.gid, 'gid'),
    // Only files have content, whatever the size says.
    sizeBytes: type === 'file' && !path.endsWith('/') ? told.sizeBytes : 0,
    modified:
      pax.mtime === undefined ? { seconds: number(header, 136, 12), nanoseconds: 0 } : paxTime(pax.mtime),
    major: number(header, 329, 8),
    minor: number(header, 337, 8),
    xattrs: xattrsOf(pax),
  }
}

const xattrPrefix = 'SCHILY.xattr.'

function xattrsOf(pax: Record<string, string>): Record<string, string> {
  const found = Object.entries(pax).filter(([key]) => key.startsWith(xattrPrefix))
  return Object.fromEntries(found.map(([key, value]) => [key.slice(xattrPrefix.length), value]))
}

/** `30 mtime=1350244992.023960108\n`: length of the record in bytes, a space, key, "=", value, newline. */
export function parsePax(meta: Buffer): Record<string, string> {
  const records: [string, string][] = []
  for (let at = 0; at < meta.length; ) {
    const space = meta.indexOf(0x20, at)
    const length = space < 0 ? Number.NaN : decimal(meta.toString('latin1', at, space), 'record length')
    const equals = space < 0 ? -1 : meta.indexOf(0x3d, space)
    const end = at + length - 1
    if (!(length > 0) || end >= meta.length || meta[end] !== 0x0a || equals < 0 || equals >= end)
      throw damaged('a PAX record is not well formed')
    records.push([meta.toString('latin1', space + 1, equals), meta.toString('latin1', equals + 1, end)])
    at = end + 1
  }
  return Object.fromEntries(records)
}

function paxTime(value: string): TarEntry['modified'] {
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(value)
  if (!match) throw damaged(`PAX mtime ${JSON.stringify(value)} is no number`)
  const nanoseconds = Number((match[3] ?? '').padEnd(9, '0').slice(0, 9))
  const seconds = Number(match[2])
  if (match[1] === '') return { seconds, nanoseconds }
  return nanoseconds === 0
    ? { seconds: 0 - seconds, nanoseconds }
    : { seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds }
}

/** Octal digits, or base 256 in two's complement when the first bit is set. */
function number(header: Buffer, at: number, length: number): number {
  const first = header[at] ?? 0
  if ((first & 0x80) !== 0) {
    let value = BigInt.asIntN(7, BigInt(first & 0x7f))
    for (let i = 1; i < length; i++) value = (value << 8n) | BigInt(header[at + i] ?? 0)
    const result = Number(value)
    if (!Number.isSafeInteger(result)) throw damaged('a number is too large')
    return result
  }
  const digits = text(header, at, length).trim()
  if (digits === '') return 0
  if (!/^[0-7]+$/.test(digits)) throw damaged(`${JSON.stringify(digits)} should be octal digits`)
  return Number.parseInt(digits, 8)
}

function decimal(value: string, what: string): number {
  const result = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN
  if (!Number.isSafeInteger(result))
    throw damaged(`PAX ${what} ${JSON.stringify(value.slice(0, 40))} is no number`)
  return result
}

function checkSum(header: Buffer): void {
  // The sum is taken with its own field as spaces; some writers added signed bytes.
  let unsigned = 8 * 0x20
  let signed = unsigned
  for (let i = 0; i < block; i++) {
    if (i >= 148 && i < 156) continue
    const byte = header[i] ?? 0
    unsigned += byte
    signed += byte > 127 ? byte - 256 : byte
  }
  const told = number(header, 148, 8)
  if (told !== unsigned && told !== signed) throw damaged('a header has a wrong checksum')
}

function text(bytes: Buffer, at: number, length: number): string {
  const end = bytes.indexOf(0, at)
  return bytes.toString('latin1', at, end < 0 ? at + length : Math.min(end, at + length))
}

const padding = (size: number) => (block - (size % block)) % block

async function takePadded(bytes: Bytes, size: number): Promise<Buffer> {
  if (size > metaLimitBytes) throw damaged('a header has more than 1 MiB')
  const meta = size === 0 ? Buffer.alloc(0) : await bytes.take(size)
  if (meta === undefined) throw damaged('it ends inside a header')
  await bytes.skip(padding(size))
  return meta
}

function damaged(why: string): BerthError {
  return new BerthError('INVALID', `Cannot unpack layer: its tar archive is damaged: ${why}`)
}

/** A source of chunks, read in other pieces. */
class Bytes {
  readonly #source: AsyncIterator<Buffer>
  #chunk: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** Exactly `size` bytes; undefined at the end of the source. */
  async take(size: number): Promise<Buffer | undefined> {
    if (this.#chunk.length === 0 && !(await this.#more())) return undefined
    if (this.#chunk.length >= size) return this.#cut(size)
    const parts: Buffer[] = []
    for (let left = size; left > 0; ) {
      const part = await this.some(left)
      parts.push(part)
      left -= part.length
    }
    return Buffer.concat(parts)
  }

  /** Between one and `most` bytes. */
  async some(most: number): Promise<Buffer> {
    if (this.#chunk.length === 0 && !(await this.#more())) throw damaged('it ends too early')
    return this.#cut(Math.min(most, this.#chunk.length))
  }

  async skip(size: number): Promise<void> {
    for (let left = size; left > 0; ) left -= (await this.some(left)).length
  }

  async drain(): Promise<void> {
    this.#chunk = Buffer.alloc(0)
    while (await this.#more()) this.#chunk = Buffer.alloc(0)
  }

  async #more(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const { done, value } = await this.#source.next()
      if (done) return false
      this.#chunk = value
    }
    return true
  }

  #cut(size: number): Buffer {
    const part = this.#chunk.subarray(0, size)
    this.#chunk = this.#chunk.subarray(size)
    return part
  }
}
