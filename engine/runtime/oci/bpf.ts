/**
 * Classic BPF as seccomp uses it (include/uapi/linux/filter.h): `u16 code | u8 jt | u8 jf | u32 k`, jumps are
 * relative to the next instruction and go forward only; jt and jf reach 255 instructions.
 */
export interface Instruction {
  readonly code: number
  readonly jt: number
  readonly jf: number
  readonly k: number
}

const op = (code: number, k: number, jt = 0, jf = 0): Instruction => ({ code, jt, jf, k: k >>> 0 })

/** A = the 32-bit word of `struct seccomp_data` at this offset. */
export const load = (offset: number): Instruction => op(0x20, offset)
/** A &= k. */
export const and = (k: number): Instruction => op(0x54, k)
export const jump = (k: number): Instruction => op(0x05, k)
export const ret = (k: number): Instruction => op(0x06, k)
export const ifEqual = (k: number, jt: number, jf: number): Instruction => op(0x15, k, jt, jf)
export const ifGreater = (k: number, jt: number, jf: number): Instruction => op(0x25, k, jt, jf)
export const ifAtLeast = (k: number, jt: number, jf: number): Instruction => op(0x35, k, jt, jf)

/** The kernel's limit, BPF_MAXINSNS. */
export const maxInstructions = 4096

/** `struct sock_filter[]`, little endian. */
export function assemble(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * 8)
  const view = new DataView(bytes.buffer)
  for (const [i, { code, jt, jf, k }] of program.entries()) {
    view.setUint16(i * 8, code, true)
    view.setUint8(i * 8 + 2, jt)
    view.setUint8(i * 8 + 3, jf)
    view.setUint32(i * 8 + 4, k, true)
  }
  return bytes
}
