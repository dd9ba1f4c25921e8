import { BerthError } from '../../base/error.ts'

/**
 * Every message by `package.Type`: number, name in JSON ('' puts a message's fields into the one around it), type, flags
 * (`r` repeated, `m` map by string, `p` pointer in Go). Types: `s` string, `b` bool, `i` integer, `y` bytes, `Quantity`,
 * `IntOrString`, `Time`, `MicroTime`, `Raw` (JSON), or a message.
 */
export type Messages = Readonly<Record<string, readonly MessageField[]>>

export type MessageField =
  | readonly [number: number, name: string, type: string]
  | readonly [number: number, name: string, type: string, flags: string]

/** What every protobuf body of Kubernetes begins with: `k8s` and a zero byte. */
const magic = [0x6b, 0x38, 0x73, 0x00]

/** Kubernetes nests its types less than this. */
const maxDepth = 40

/**
 * Reads a protobuf body: the magic bytes, then `runtime.Unknown`, whose raw bytes are the object. Gives the object as its
 * JSON would be: zeros of fields that are no pointers are left out, as Go does with `omitempty`. Throws `INVALID`.
 */
export async function decodeProtobuf(body: Uint8Array): Promise<Record<string, unknown>> {
  if (magic.some((byte, i) => body[i] !== byte)) throw malformed('it does not begin with "k8s"')
  const { messages } = await import('./messages.generated.ts')
  let apiVersion = ''
  let kind = ''
  let raw: Uint8Array = new Uint8Array()
  for (const { number, value } of fieldsOf(body.subarray(magic.length))) {
    if (number === 1) {
      for (const inner of fieldsOf(bytes(value))) {
        if (inner.number === 1) apiVersion = text(inner.value)
        if (inner.number === 2) kind = text(inner.value)
      }
    } else if (number === 2) raw = bytes(value)
  }
  const name = messageName(apiVersion, kind)
  if (!messages[name]) throw malformed(`there is no kind "${kind}" in version "${apiVersion}"`)
  return { apiVersion, kind, ...new Decoder(messages).message(raw, name, 0) }
}

function messageName(apiVersion: string, kind: string): string {
  if (kind === 'DeleteOptions') return 'meta.DeleteOptions'
  const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : 'core'
  return `${group?.split('.')[0]}.${kind}`
}

type Wire = bigint | Uint8Array

class Decoder {
  readonly #messages: Messages

  constructor(messages: Messages) {
    this.#messages = messages
  }

  message(raw: Uint8Array, name: string, depth: number): Record<string, unknown> {
    if (depth > maxDepth) throw malformed('it is nested too deeply')
    const known = new Map((this.#messages[name] ?? []).map((field) => [field[0], field]))
    const out: Record<string, unknown> = {}
    for (const { number, value } of fieldsOf(raw)) {
      const field = known.get(number)
      if (!field) continue
      const [, key, type, flags = ''] = field
      if (flags.includes('m')) {
        out[key] = { ...(out[key] as object), ...this.#entry(bytes(value), type, depth) }
      } else if (flags.includes('r')) {
        out[key] = [...((out[key] as unknown[]) ?? []), this.#value(value, type, depth)]
      } else {
        const decoded = this.#value(value, type, depth)
        if (key === '') Object.assign(out, decoded)
        else if (flags.includes('p') || !isZero(decoded)) out[key] = decoded
        else delete out[key]
      }
    }
    return out
  }

  /** A map's entry, as an object of one field. */
  #entry(raw: Uint8Array, type: string, depth: number): Record<string, unknown> {
    let key = ''
    let entry: unknown = ''
    for (const { number, value } of fieldsOf(raw)) {
      if (number === 1) key = text(value)
      if (number === 2) entry = this.#value(value, type, depth)
    }
    return Object.fromEntries([[key, entry]])
  }

  #value(value: Wire, type: string, depth: number): unknown {
    switch (type) {
      case 's':
        return text(value)
      case 'b':
        return integer(value) !== 0
      case 'i':
        return integer(value)
      case 'y':
        return Buffer.from(bytes(value)).toString('base64')
      case 'Quantity':
        return text(first(value, 1) ?? new Uint8Array())
      case 'IntOrString':
        return integer(first(value, 1) ?? 0n) === 1
          ? text(first(value, 3) ?? new Uint8Array())
          : integer(first(value, 2) ?? 0n)
      case 'Time':
      case 'MicroTime':
        return time(value, type === 'MicroTime')
      case 'Raw':
        return json(bytes(first(value, 1) ?? new Uint8Array()))
      default:
        return this.message(bytes(value), type, depth + 1)
    }
  }
}

function isZero(value: unknown): boolean {
  if (value === '' || value === 0 || value === false || value === undefined) return true
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

function time(value: Wire, isMicro: boolean): string | undefined {
  const seconds = integer(first(value, 1) ?? 0n)
  const nanos = integer(first(value, 2) ?? 0n)
  if (seconds === 0 && nanos === 0) return undefined
  const date = new Date(seconds * 1000)
  if (Number.isNaN(date.getTime())) throw malformed('a time is out of range')
  const text = date.toISOString().slice(0, 19)
  return isMicro ? `${text}.${String(Math.trunc(nanos / 1000)).padStart(6, '0')}Z` : `${text}Z`
}

function json(raw: Uint8Array): unknown {
  if (raw.length === 0) return undefined
  try {
    return JSON.parse(new TextDecoder().decode(raw))
  } catch {
    throw malformed('a raw field does not hold JSON')
  }
}

function first(value: Wire, number: number): Wire | undefined {
  for (const field of fieldsOf(bytes(value))) if (field.number === number) return field.value
  return undefined
}

function bytes(value: Wire): Uint8Array {
  if (typeof value === 'bigint') throw malformed('a number stands where a message should')
  return value
}

function text(value: Wire): string {
  return new TextDecoder().decode(bytes(value))
}

function integer(value: Wire): number {
  if (typeof value !== 'bigint') throw malformed('a message stands where a number should')
  return Number(BigInt.asIntN(64, value))
}

/** https://protobuf.dev/programming-guides/encoding/: tag = number << 3 | wire type; 0 varint, 1 and 5 fixed, 2 length and bytes. */
function* fieldsOf(raw: Uint8Array): Generator<{ number: number; value: Wire }> {
  let at = 0
  const varint = (): bigint => {
    let result = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = raw[at++]
      if (byte === undefined) throw malformed('it ends too early')
      result |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asUintN(64, result)
    }
    throw malformed('a number is too long')
  }
  while (at < raw.length) {
    const tag = Number(varint())
    const wire = tag & 7
    if (wire === 0) {
      yield { number: tag >>> 3, value: varint() }
      continue
    }
    const length = wire === 2 ? Number(varint()) : wire === 1 ? 8 : wire === 5 ? 4 : -1
    if (length < 0) throw malformed(`wire type ${wire} is not known`)
    if (at + length > raw.length) throw malformed('it ends too early')
    yield { number: tag >>> 3, value: raw.subarray(at, at + length) }
    at += length
  }
}

function malformed(why: string): BerthError {
  return new BerthError('INVALID', `Cannot read the protobuf body: ${why}`)
}
