import type { OciDeviceRule } from './types.ts'

/**
 * The device policy of cgroup v2 as an eBPF program (BPF_PROG_TYPE_CGROUP_DEVICE), `u8 opcode | u8 src:4 dst:4 |
 * s16 offset | s32 immediate` an instruction. It is given `struct bpf_cgroup_dev_ctx`
 * `{ u32 access << 16 | type; u32 major; u32 minor }` and answers 1 (allow) or 0.
 *
 * The last rule that speaks of a device decides, for each of read, write and mknod alone: rules are tried from the
 * last to the first, an allowing one takes its accesses off the request, a denying one ends it, and what no rule
 * allows is denied. So `c 1:3 r` and `c 1:3 w` together allow opening for both, as with v1's list.
 */
export function deviceProgram(rules: readonly OciDeviceRule[]): Uint8Array {
  const code: number[][] = [
    [0x61, r(TYPE, CTX), 0, 0], // type = ctx[0]
    [0xbf, r(WANTED, TYPE), 0, 0], // wanted = type
    [0x77, r(WANTED), 0, 16], // wanted >>= 16
    [0x57, r(TYPE), 0, 0xffff], // type &= 0xffff
    [0x61, r(MAJOR, CTX), 4, 0],
    [0x61, r(MINOR, CTX), 8, 0],
  ]
  for (const rule of rules.toReversed()) {
    const access = accessBits(rule.access ?? 'rwm')
    const verdict = rule.allow
      ? [
          [0x57, r(WANTED), 0, ~access],
          [0x55, r(WANTED), 2, 0], // something is still wanted: next rule
          [0xb7, r(RESULT), 0, 1],
          [0x95, 0, 0, 0],
        ]
      : [
          [0xbf, r(SCRATCH, WANTED), 0, 0],
          [0x57, r(SCRATCH), 0, access],
          [0x15, r(SCRATCH), 2, 0], // nothing of it is wanted: next rule
          [0xb7, r(RESULT), 0, 0],
          [0x95, 0, 0, 0],
        ]
    const checks: [register: number, value: number][] = []
    if (rule.type === 'b') checks.push([TYPE, 1])
    if (rule.type === 'c') checks.push([TYPE, 2])
    if (rule.major !== undefined && rule.major >= 0) checks.push([MAJOR, rule.major])
    if (rule.minor !== undefined && rule.minor >= 0) checks.push([MINOR, rule.minor])
    for (const [i, [register, value]] of checks.entries()) {
      code.push([0x55, r(register), checks.length - 1 - i + verdict.length, value])
    }
    code.push(...verdict)
  }
  code.push([0xb7, r(RESULT), 0, 0], [0x95, 0, 0, 0])
  return encode(code)
}

const RESULT = 0
const CTX = 1
const TYPE = 2
const WANTED = 3
const MAJOR = 4
const MINOR = 5
const SCRATCH = 6

const r = (destination: number, source = 0): number => (source << 4) | destination

/** BPF_DEVCG_ACC_*. */
function accessBits(access: string): number {
  return (access.includes('m') ? 1 : 0) | (access.includes('r') ? 2 : 0) | (access.includes('w') ? 4 : 0)
}

function encode(code: readonly (readonly number[])[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(code.length * 8))
  for (const [i, [opcode = 0, registers = 0, offset = 0, immediate = 0]] of code.entries()) {
    view.setUint8(i * 8, opcode)
    view.setUint8(i * 8 + 1, registers)
    view.setInt16(i * 8 + 2, offset, true)
    view.setInt32(i * 8 + 4, immediate, true)
  }
  return new Uint8Array(view.buffer)
}
