import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileSeccomp } from './seccomp.ts'
import { defaultProfile, resolveProfile } from './seccomp-profile.ts'
import { syscallTables } from './syscalls.ts'
import type { OciSeccomp, OciSyscallArg } from './types.ts'

const ALLOW = 0x7fff0000
const EPERM = 0x00050001
const ENOSYS = 0x00050026
const KILL = 0x80000000
const kernel = [6, 1] as const

/** The kernel's interpreter for the instructions that a seccomp program may have. */
function run(program: Uint8Array, arch: number, nr: number, args: readonly bigint[] = []): number {
  const seen = new DataView(new ArrayBuffer(64))
  seen.setUint32(0, nr, true)
  seen.setUint32(4, arch, true)
  for (const [i, arg] of args.entries()) seen.setBigUint64(16 + 8 * i, BigInt.asUintN(64, arg), true)
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength)
  let a = 0
  for (let pc = 0; ; pc++) {
    if (pc * 8 >= program.length) throw new Error('ran off the end')
    const [code, jt, jf, k] = [
      view.getUint16(pc * 8, true),
      view.getUint8(pc * 8 + 2),
      view.getUint8(pc * 8 + 3),
      view.getUint32(pc * 8 + 4, true),
    ]
    if (code === 0x20) a = seen.getUint32(k, true)
    else if (code === 0x54) a = (a & k) >>> 0
    else if (code === 0x05) pc += k
    else if (code === 0x15) pc += a === k ? jt : jf
    else if (code === 0x25) pc += a > k ? jt : jf
    else if (code === 0x35) pc += a >= k ? jt : jf
    else if (code === 0x06) return k
    else throw new Error(`instruction ${code}`)
  }
}

const holds = ({ index, op, value, valueTwo = 0 }: OciSyscallArg, args: readonly bigint[]): boolean => {
  const arg = BigInt.asUintN(64, args[index] ?? 0n)
  const [v, w] = [BigInt(value), BigInt(valueTwo)]
  return (
    {
      SCMP_CMP_EQ: arg === v,
      SCMP_CMP_NE: arg !== v,
      SCMP_CMP_LT: arg < v,
      SCMP_CMP_LE: arg <= v,
      SCMP_CMP_GE: arg >= v,
      SCMP_CMP_GT: arg > v,
      SCMP_CMP_MASKED_EQ: (arg & v) === w,
    }[op] ?? false
  )
}

/** What a profile of allows and errnos says of one call, read from the profile itself. */
function meaning(seccomp: OciSeccomp, name: string, args: readonly bigint[] = []): number {
  const value = (action: string, errno = 1) => (action === 'SCMP_ACT_ALLOW' ? ALLOW : 0x50000 + errno)
  const rules = (seccomp.syscalls ?? []).filter((rule) => rule.names.includes(name))
  const rule =
    rules.find((r) => !r.args?.length) ?? rules.find((r) => r.args?.every((arg) => holds(arg, args)))
  return rule ? value(rule.action, rule.errnoRet) : value(seccomp.defaultAction, seccomp.defaultErrnoRet)
}

describe('default profile', () => {
  const cases = [
    ['x64', [], ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86']],
    ['x64', ['CAP_SYS_ADMIN', 'CAP_SYS_TIME', 'CAP_BPF'], ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86']],
    ['arm64', ['CAP_SYS_PTRACE'], ['SCMP_ARCH_AARCH64']],
  ] as const
  it.each(cases)('means what it says for every call on %s with %j', (arch, capabilities, tables) => {
    const seccomp = resolveProfile(defaultProfile, { arch, capabilities, kernel })
    const { program } = compileSeccomp(seccomp)
    let checked = 0
    for (const tableName of tables) {
      const { auditArch, numbers } = syscallTables[tableName]
      const named = (seccomp.syscalls ?? []).flatMap((r) => r.names).map((n) => numbers.get(n) ?? -1)
      const highest = Math.max(...named)
      for (const [name, nr] of numbers) {
        for (const first of [0n, 1n, 8n, 40n, 0x20000n, 0x10000000n, 0xffffffffn, 0x100000028n]) {
          const wanted = nr > highest ? ENOSYS : meaning(seccomp, name, [first])
          expect(run(program, auditArch, nr, [first]), `${name}(${first})`).toBe(wanted)
          checked++
        }
      }
    }
    expect(checked).toBeGreaterThan(2000)
  })

  const { program } = compileSeccomp(
    resolveProfile(defaultProfile, { arch: 'x64', capabilities: ['CAP_SYS_CHROOT'], kernel }),
  )
  const x64 = syscallTables.SCMP_ARCH_X86_64
  const call = (name: string, ...args: bigint[]) =>
    run(program, x64.auditArch, x64.numbers.get(name) ?? -1, args)

  it('holds what docker holds', () => {
    expect(call('read')).toBe(ALLOW)
    expect(call('chroot')).toBe(ALLOW)
    expect(call('mount')).toBe(EPERM)
    expect(call('keyctl')).toBe(EPERM)
    expect(call('io_uring_setup')).toBe(EPERM)
    expect(call('clone3')).toBe(ENOSYS)
    expect(call('clone', 0x01200011n)).toBe(ALLOW)
    expect(call('clone', 0x10000000n)).toBe(EPERM)
    expect(call('socket', 40n)).toBe(EPERM)
    expect(call('socket', 2n)).toBe(ALLOW)
    expect(call('personality', 0xffffffffn)).toBe(ALLOW)
    expect(call('personality', 0x40000n)).toBe(EPERM)
  })

  it('answers unknown numbers, x32 and foreign architectures', () => {
    expect(run(program, x64.auditArch, 600)).toBe(ENOSYS)
    expect(run(program, x64.auditArch, 0x40000000)).toBe(ENOSYS)
    expect(run(program, x64.auditArch, 0xffffffff)).toBe(ENOSYS)
    expect(run(program, x64.auditArch, 400)).toBe(EPERM)
    expect(run(program, 0xc00000b7, 0)).toBe(KILL)
  })

  it('is short', () => {
    expect(program.length / 8).toBeLessThan(600)
  })
})

describe('conditions', () => {
  const word = fc.oneof(
    fc.bigInt(0n, 0xffffffffffffffffn),
    fc.constantFrom(0n, 1n, 0xffffffffn, 0x100000000n, 0x100000001n),
  )
  const arg = fc.record({
    op: fc.constantFrom(
      'SCMP_CMP_EQ',
      'SCMP_CMP_NE',
      'SCMP_CMP_LT',
      'SCMP_CMP_LE',
      'SCMP_CMP_GE',
      'SCMP_CMP_GT',
      'SCMP_CMP_MASKED_EQ',
    ),
    value: fc.oneof(fc.nat(0xffffffff), fc.maxSafeNat(), fc.constantFrom(0, 1, 0xffffffff, 0x100000000)),
    valueTwo: fc.maxSafeNat(),
  })

  it('compare 64 bits', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(fc.nat(5), arg), { selector: ([i]) => i, minLength: 1, maxLength: 4 }),
        fc.uniqueArray(fc.tuple(fc.nat(5), arg), { selector: ([i]) => i, minLength: 1, maxLength: 4 }),
        fc.array(word, { minLength: 6, maxLength: 6 }),
        (first, second, words) => {
          // Half of the arguments are the compared values themselves: that is where the edges lie.
          const args = words.map((w, i) => {
            const compared = first.find(([index]) => index === i)?.[1]
            return compared && w % 2n === 0n ? BigInt(compared.value) + ((w >> 1n) % 3n) - 1n : w
          })
          const rule = (list: typeof first, action: string, errnoRet: number) => ({
            names: ['read'],
            action,
            errnoRet,
            args: list.map(([index, a]) => ({ index, ...a })),
          })
          const seccomp: OciSeccomp = {
            defaultAction: 'SCMP_ACT_ERRNO',
            architectures: ['SCMP_ARCH_X86_64'],
            syscalls: [rule(first, 'SCMP_ACT_ALLOW', 0), rule(second, 'SCMP_ACT_ERRNO', 99)],
          }
          const { program } = compileSeccomp(seccomp)
          expect(run(program, 0xc000003e, 0, args)).toBe(meaning(seccomp, 'read', args))
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('repeated on one argument are alternatives', () => {
    const { program } = compileSeccomp({
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 7,
      architectures: ['SCMP_ARCH_X86_64'],
      syscalls: [
        {
          names: ['read'],
          action: 'SCMP_ACT_ALLOW',
          args: [
            { index: 0, op: 'SCMP_CMP_EQ', value: 3 },
            { index: 0, op: 'SCMP_CMP_EQ', value: 5 },
          ],
        },
      ],
    })
    expect([3n, 4n, 5n].map((a) => run(program, 0xc000003e, 0, [a]))).toEqual([ALLOW, 0x50007, ALLOW])
  })

  it('refuses what it does not know', () => {
    const bad = (over: object) => () =>
      compileSeccomp({
        defaultAction: 'SCMP_ACT_ALLOW',
        architectures: ['SCMP_ARCH_X86_64'],
        syscalls: [{ names: ['read'], action: 'SCMP_ACT_ERRNO', ...over }],
      })
    expect(bad({ action: 'SCMP_ACT_ERRN' })).toThrow(/"SCMP_ACT_ERRN" is no action/)
    expect(bad({ args: [{ index: 6, op: 'SCMP_CMP_EQ', value: 0 }] })).toThrow(/index 6/)
    expect(bad({ args: [{ index: 0, op: 'EQ', value: 0 }] })).toThrow(/no comparison/)
  })
})
