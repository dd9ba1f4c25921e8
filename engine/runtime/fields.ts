/** Writes the flat fields of the launcher's frames: little-endian numbers, strings as u16 length and bytes. */
export class FieldWriter {
  readonly #parts: Uint8Array[] = []

  u8(value: number): this {
    return this.bytes(Uint8Array.of(value))
  }

  u16(value: number): this {
    const bytes = new Uint8Array(2)
    new DataView(bytes.buffer).setUint16(0, value, true)
    return this.bytes(bytes)
  }

  u32(value: number): this {
    const bytes = new Uint8Array(4)
    new DataView(bytes.buffer).setUint32(0, value, true)
    return this.bytes(bytes)
  }

  u64(value: bigint): this {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setBigUint64(0, value, true)
    return this.bytes(bytes)
  }

  string(text: string): this {
    const bytes = new TextEncoder().encode(text)
    return this.u16(bytes.length).bytes(bytes)
  }

  bytes(bytes: Uint8Array): this {
    this.#parts.push(bytes)
    return this
  }

  done(): Uint8Array {
    return Buffer.concat(this.#parts)
  }
}
