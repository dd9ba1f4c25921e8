/**
 * Netlink messages: a header, a fixed part, attributes. Numbers are in the machine's order (little endian on both of
 * berth's architectures) except where a protocol says big endian; everything is padded to 4 bytes.
 *
 *   u32 length | u16 type | u16 flags | u32 sequence | u32 port | fixed part | attributes
 *   attribute: u16 length (with these 4 bytes) | u16 type | value | padding
 */
export type Attribute = readonly [type: number, value: Uint8Array | readonly Attribute[]]

export const flag = {
  request: 0x1,
  ack: 0x4,
  echo: 0x8,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  append: 0x800,
  dump: 0x300,
} as const

const nested = 0x8000
const typeMask = 0x3fff
const headerBytes = 16

/** One message; sequence and port are 0. */
export function encodeMessage(
  type: number,
  flags: number,
  fixed: Uint8Array,
  attributes: readonly Attribute[] = [],
): Uint8Array {
  const length = headerBytes + padded(fixed.length) + attributesLength(attributes)
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, length, true)
  view.setUint16(4, type, true)
  view.setUint16(6, flags, true)
  bytes.set(fixed, headerBytes)
  writeAttributes(bytes, headerBytes + padded(fixed.length), attributes)
  return bytes
}

/** Messages one after another, to be sent as one datagram. */
export function joinMessages(messages: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(messages.reduce((sum, message) => sum + padded(message.length), 0))
  let at = 0
  for (const message of messages) {
    bytes.set(message, at)
    at += padded(message.length)
  }
  return bytes
}

/** The messages of a datagram. What does not fit its length is left out. */
export function splitMessages(datagram: Uint8Array): Uint8Array[] {
  const view = viewOf(datagram)
  const messages: Uint8Array[] = []
  for (let at = 0; at + headerBytes <= datagram.length; ) {
    const length = view.getUint32(at, true)
    if (length < headerBytes || at + length > datagram.length) break
    messages.push(datagram.subarray(at, at + length))
    at += padded(length)
  }
  return messages
}

/** The type of a message. */
export function messageType(message: Uint8Array): number {
  return viewOf(message).getUint16(4, true)
}

/** The number that a request was given and its answers carry. */
export function messageSequence(message: Uint8Array): number {
  return viewOf(message).getUint32(8, true)
}

/** The message with this sequence number. */
export function withSequence(message: Uint8Array, sequence: number): Uint8Array {
  const bytes = message.slice()
  viewOf(bytes).setUint32(8, sequence, true)
  return bytes
}

/** The fixed part of a message, and its attributes by type (the last of a type wins). */
export function decodeMessage(
  message: Uint8Array,
  fixedBytes: number,
): { fixed: DataView; attributes: ReadonlyMap<number, Uint8Array> } {
  const fixed = message.subarray(headerBytes, headerBytes + fixedBytes)
  if (fixed.length < fixedBytes)
    return { fixed: new DataView(new ArrayBuffer(fixedBytes)), attributes: new Map() }
  return {
    fixed: viewOf(fixed),
    attributes: decodeAttributes(message.subarray(headerBytes + padded(fixedBytes))),
  }
}

/** Attributes by type; of a list of equal types use `listAttributes`. */
export function decodeAttributes(bytes: Uint8Array | undefined): ReadonlyMap<number, Uint8Array> {
  return new Map(listAttributes(bytes))
}

export function listAttributes(bytes: Uint8Array | undefined): [type: number, value: Uint8Array][] {
  const list: [number, Uint8Array][] = []
  if (!bytes) return list
  const view = viewOf(bytes)
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = view.getUint16(at, true)
    if (length < 4 || at + length > bytes.length) break
    list.push([view.getUint16(at + 2, true) & typeMask, bytes.subarray(at + 4, at + length)])
    at += padded(length)
  }
  return list
}

export const u8 = (value: number): Uint8Array => Uint8Array.of(value)

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  viewOf(bytes).setUint32(0, value, true)
  return bytes
}

export function be16(value: number): Uint8Array {
  const bytes = new Uint8Array(2)
  viewOf(bytes).setUint16(0, value)
  return bytes
}

export function be32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  viewOf(bytes).setUint32(0, value)
  return bytes
}

export function be64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8)
  viewOf(bytes).setBigUint64(0, value)
  return bytes
}

/** A string that ends with NUL. */
export const text = (value: string): Uint8Array => new TextEncoder().encode(`${value}\0`)

export const concat = (...parts: readonly Uint8Array[]): Uint8Array => {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

export function readU32(value: Uint8Array | undefined): number | undefined {
  return value && value.length >= 4 ? viewOf(value).getUint32(0, true) : undefined
}

export function readBe32(value: Uint8Array | undefined): number | undefined {
  return value && value.length >= 4 ? viewOf(value).getUint32(0) : undefined
}

export function readBe64(value: Uint8Array | undefined): bigint | undefined {
  return value && value.length >= 8 ? viewOf(value).getBigUint64(0) : undefined
}

/** A string attribute without its NUL. */
export function readText(value: Uint8Array | undefined): string | undefined {
  if (!value) return undefined
  const end = value.indexOf(0)
  return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end))
}

const padded = (length: number): number => (length + 3) & ~3

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

function attributesLength(attributes: readonly Attribute[]): number {
  let length = 0
  for (const [, value] of attributes) length += 4 + padded(valueLength(value))
  return length
}

function valueLength(value: Attribute[1]): number {
  return value instanceof Uint8Array ? value.length : attributesLength(value)
}

function writeAttributes(bytes: Uint8Array, from: number, attributes: readonly Attribute[]): void {
  const view = viewOf(bytes)
  let at = from
  for (const [type, value] of attributes) {
    const length = 4 + valueLength(value)
    if (length > 0xffff) throw new RangeError(`Attribute ${type} of ${length} bytes does not fit netlink`)
    view.setUint16(at, length, true)
    if (value instanceof Uint8Array) {
      view.setUint16(at + 2, type, true)
      bytes.set(value, at + 4)
    } else {
      view.setUint16(at + 2, type | nested, true)
      writeAttributes(bytes, at + 4, value)
    }
    at += padded(length)
  }
}
