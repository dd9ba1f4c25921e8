import { BerthError } from '../../base/error.ts'
import { suggest } from '../../base/suggest.ts'
import {
  and,
  assemble,
  type Instruction,
  ifAtLeast,
  ifEqual,
  ifGreater,
  jump,
  load,
  maxInstructions,
  ret,
} from './bpf.ts'
import { type SyscallTable, syscallTables } from './syscalls.ts'
import type { OciSeccomp, OciSyscallArg, OciSyscallRule } from './types.ts'

/** SECCOMP_RET_* by the profile's names; what has `data` carries an errno or a tracer's message in its low 16 bits. */
const actions: Readonly<Record<string, { readonly value: number; readonly data?: number }>> = {
  SCMP_ACT_KILL: { value: 0x00000000 },
  SCMP_ACT_KILL_THREAD: { value: 0x00000000 },
  SCMP_ACT_KILL_PROCESS: { value: 0x80000000 },
  SCMP_ACT_TRAP: { value: 0x00030000 },
  SCMP_ACT_ERRNO: { value: 0x00050000, data: 1 },
  SCMP_ACT_TRACE: { value: 0x7ff00000, data: 1 },
  SCMP_ACT_LOG: { value: 0x7ffc0000 },
  SCMP_ACT_ALLOW: { value: 0x7fff0000 },
}

/** SECCOMP_FILTER_FLAG_*. */
const filterFlags: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
}

const ENOSYS = 38
const errno = (number: number): number => 0x00050000 | number
const killProcess = 0x80000000

/** Offsets in `struct seccomp_data`: nr 0, arch 4, args 16 (8 bytes each, little endian). */
const nrOffset = 0
const archOffset = 4
const argLow = (index: number): number => 16 + 8 * index
const argHigh = (index: number): number => 20 + 8 * index

/**
 * Compiles a profile to one program: the architecture is checked first (a foreign one kills), then the number is
 * found by binary search over intervals of numbers with the same outcome.
 *
 * Meaning: a rule without arguments wins over those with; among these the first that matches decides; a call that no
 * rule names, or whose arguments match none, gets the default action. Two conditions on one argument in one rule are
 * alternatives, as runc reads them. Where the default is an errno, numbers above the highest that the profile names
 * fail with ENOSYS, so that a C library falls back instead of giving up (runc does the same); x32's numbers are there.
 */
export function compileSeccomp(seccomp: OciSeccomp): { program: Uint8Array; flags: number } {
  const architectures = (seccomp.architectures ?? []).filter((name) => name !== 'SCMP_ARCH_X32')
  const sections = architectures.map((name) => ({ name, table: tableOf(name) }))
  const known = sections.flatMap(({ table }) => (table ? [table] : []))
  const program: Instruction[] = [load(archOffset)]
  for (const table of known) {
    const body = [load(nrOffset), ...search(intervals(seccomp, table))]
    program.push(ifEqual(table.auditArch, 1, 0), jump(body.length), ...body)
  }
  program.push(ret(killProcess))
  if (program.length > maxInstructions) {
    throw new BerthError(
      'INVALID',
      `Cannot use the seccomp profile: it needs ${program.length} instructions, the kernel takes ${maxInstructions}`,
    )
  }
  const flags = (seccomp.flags ?? []).reduce((sum, name) => sum | (filterFlags[name] ?? 0), 0)
  return { program: assemble(program), flags }
}

/** Tables of architectures that this machine cannot be (mips, s390x…) are left out: profiles name them all. */
function tableOf(name: string): SyscallTable | undefined {
  return Object.hasOwn(syscallTables, name) ? syscallTables[name as keyof typeof syscallTables] : undefined
}

interface Interval {
  readonly from: number
  readonly code: readonly Instruction[]
}

function intervals(seccomp: OciSeccomp, table: SyscallTable): Interval[] {
  const fallback = actionValue(seccomp.defaultAction, seccomp.defaultErrnoRet)
  const rules = new Map<number, OciSyscallRule[]>()
  for (const rule of seccomp.syscalls ?? []) {
    for (const name of rule.names) {
      const number = table.numbers.get(name)
      if (number !== undefined) rules.set(number, [...(rules.get(number) ?? []), rule])
    }
  }
  const result: Interval[] = []
  const add = (from: number, code: readonly Instruction[]) => {
    if (!same(result.at(-1)?.code, code)) result.push({ from, code })
  }
  let next = 0
  for (const number of [...rules.keys()].sort((a, b) => a - b)) {
    if (number > next) add(next, [ret(fallback)])
    add(number, outcome(rules.get(number) ?? [], fallback))
    next = number + 1
  }
  const unknown = (fallback & 0xffff0000) === errno(0) ? errno(ENOSYS) : fallback
  add(next, [ret(unknown)])
  return result
}

function same(a: readonly Instruction[] | undefined, b: readonly Instruction[]): boolean {
  return (
    a?.length === b.length &&
    a.every((x, i) => {
      const y = b[i]
      return y && x.code === y.code && x.k === y.k && x.jt === y.jt && x.jf === y.jf
    })
  )
}

/** Binary search; A holds the number. The interval's start is the first of the right half. */
function search(list: readonly Interval[]): Instruction[] {
  if (list.length === 1) return [...(list[0]?.code ?? [])]
  const middle = list.length >> 1
  const left = search(list.slice(0, middle))
  const right = search(list.slice(middle))
  const start = list[middle]?.from ?? 0
  return left.length <= 255
    ? [ifAtLeast(start, left.length, 0), ...left, ...right]
    : [ifAtLeast(start, 0, 1), jump(left.length), ...left, ...right]
}

function outcome(rules: readonly OciSyscallRule[], fallback: number): Instruction[] {
  const plain = rules.find((rule) => !rule.args?.length)
  if (plain) return [ret(actionValue(plain.action, plain.errnoRet))]
  return [
    ...rules.flatMap((rule) =>
      alternatives(rule.args ?? []).flatMap((args) => [
        ...conjunction(args),
        ret(actionValue(rule.action, rule.errnoRet)),
      ]),
    ),
    ret(fallback),
  ]
}

/** Conditions on different arguments all hold together; a repeated argument makes each condition a rule of its own. */
function alternatives(args: readonly OciSyscallArg[]): OciSyscallArg[][] {
  const repeated = new Set(args.map((arg) => arg.index)).size < args.length
  return repeated ? args.map((arg) => [arg]) : [[...args]]
}

/** Jump targets within one rule: `pass` is the next condition, `fail` the instruction after the rule's `ret`. */
type Target = number | 'pass' | 'fail'
type Draft = readonly [make: (jt: number, jf: number) => Instruction, jt: Target, jf: Target] | Instruction

function conjunction(args: readonly OciSyscallArg[]): Instruction[] {
  const pieces = args.map(condition)
  const total = pieces.reduce((sum, piece) => sum + piece.length, 0)
  let position = 0
  return pieces.flatMap((piece) => {
    const end = position + piece.length
    return piece.map((draft): Instruction => {
      position++
      if (!Array.isArray(draft)) return draft as Instruction
      const [make, jt, jf] = draft as Exclude<Draft, Instruction>
      const distance = (target: Target) =>
        target === 'pass' ? end - position : target === 'fail' ? total + 1 - position : target
      return make(distance(jt), distance(jf))
    })
  })
}

/** A 64-bit comparison as two of 32 bits, the high word first. */
function condition({ index, op, value, valueTwo = 0 }: OciSyscallArg): Draft[] {
  if (!Number.isInteger(index) || index < 0 || index > 5) {
    throw new BerthError('INVALID', `Cannot use the seccomp profile: argument index ${index} is not 0 to 5`)
  }
  const [high, low] = halves(value)
  const [high2, low2] = halves(valueTwo)
  const hi = load(argHigh(index))
  const lo = load(argLow(index))
  const equal =
    (k: number) =>
    (jt: number, jf: number): Instruction =>
      ifEqual(k, jt, jf)
  const greater =
    (k: number) =>
    (jt: number, jf: number): Instruction =>
      ifGreater(k, jt, jf)
  const atLeast =
    (k: number) =>
    (jt: number, jf: number): Instruction =>
      ifAtLeast(k, jt, jf)
  const order = (last: Draft, yes: Target, no: Target): Draft[] => [
    hi,
    [greater(high), yes, 0],
    [equal(high), 0, no],
    lo,
    last,
  ]
  switch (op) {
    case 'SCMP_CMP_EQ':
      return [hi, [equal(high), 0, 'fail'], lo, [equal(low), 'pass', 'fail']]
    case 'SCMP_CMP_NE':
      return [hi, [equal(high), 0, 'pass'], lo, [equal(low), 'fail', 'pass']]
    case 'SCMP_CMP_GE':
      return order([atLeast(low), 'pass', 'fail'], 'pass', 'fail')
    case 'SCMP_CMP_GT':
      return order([greater(low), 'pass', 'fail'], 'pass', 'fail')
    case 'SCMP_CMP_LT':
      return order([atLeast(low), 'fail', 'pass'], 'fail', 'pass')
    case 'SCMP_CMP_LE':
      return order([greater(low), 'fail', 'pass'], 'fail', 'pass')
    case 'SCMP_CMP_MASKED_EQ':
      return [hi, and(high), [equal(high2), 0, 'fail'], lo, and(low), [equal(low2), 'pass', 'fail']]
    default:
      throw new BerthError(
        'INVALID',
        `Cannot use the seccomp profile: ${JSON.stringify(op)} is no comparison`,
        {
          hint: 'use SCMP_CMP_EQ, NE, LT, LE, GE, GT or MASKED_EQ',
        },
      )
  }
}

function halves(value: number): [high: number, low: number] {
  const wide = BigInt.asUintN(64, BigInt(value))
  return [Number(wide >> 32n), Number(wide & 0xffffffffn)]
}

function actionValue(name: string, data: number | undefined): number {
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined
  if (!action) {
    const near = suggest(name, Object.keys(actions))
    throw new BerthError('INVALID', `Cannot use the seccomp profile: ${JSON.stringify(name)} is no action`, {
      hint: near ? `did you mean ${near}?` : `use one of ${Object.keys(actions).join(', ')}`,
    })
  }
  return action.data === undefined ? action.value : (action.value | ((data ?? action.data) & 0xffff)) >>> 0
}
