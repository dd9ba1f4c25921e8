import { BerthError } from '../base/error.ts'
import type { ExecPlan, LaunchPlan, NamespaceJoin, Step } from './plan.ts'

/**
 * The flat form of a plan, as `launcher/plan.c` reads it. Little endian, no padding.
 *
 *   text, bytes   u32 length | bytes | 0          (text holds no other NUL)
 *   list          u32 count | items
 *   step          u32 length of what follows | u16 op | text why | text at | the op's fields in the order of `ops`
 *   steps         u32 count | u32 bytes | steps
 *   join          text path | u32 kind | text why
 *   launch        u32 version | text id | settings | list of joins | u64 clone flags | steps host, parent, child
 *   settings      text socket | text stateFolder | text log path (empty: none) | u64 maxSizeBytes | u32 maxFiles |
 *                 u8 terminal | u8 stdin | u8 stdinOnce | u8 pauseOnly | list of text cgroups
 *   exec          u32 version | text id | u8 terminal | u8 stdin | list of joins | steps parent, child
 */
export class FlatWriter {
  #bytes = Buffer.allocUnsafe(256)
  #length = 0

  /** Makes room; gives where it begins. A plan has some thousand fields: pieces would cost more than its making. */
  #room(size: number): number {
    const at = this.#length
    this.#length += size
    if (this.#length > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(2 * this.#length)
      this.#bytes.copy(grown, 0, 0, at)
      this.#bytes = grown
    }
    return at
  }

  u8(value: number | boolean): void {
    const at = this.#room(1)
    this.#bytes.writeUInt8(Number(value), at)
  }

  u16(value: number): void {
    const at = this.#room(2)
    this.#bytes.writeUInt16LE(value, at)
  }

  u32(value: number): void {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) throw outOfRange(value)
    const at = this.#room(4)
    this.#bytes.writeUInt32LE(value, at)
  }

  i32(value: number): void {
    if (value !== (value | 0)) throw outOfRange(value)
    const at = this.#room(4)
    this.#bytes.writeInt32LE(value, at)
  }

  /** 64 bits; a number must be a safe integer; -1, and 2^64 - 1 however JSON rounded it, are all ones (RLIM_INFINITY). */
  u64(value: number | bigint): void {
    const all = value === -1 || (typeof value === 'number' && value >= 2 ** 64)
    if (!all && typeof value === 'number' && !(Number.isSafeInteger(value) && value >= 0)) {
      throw outOfRange(value)
    }
    const at = this.#room(8)
    this.#bytes.writeBigUInt64LE(all ? 0xffff_ffff_ffff_ffffn : BigInt(value), at)
  }

  bytes(value: Uint8Array): void {
    this.u32(value.length)
    const at = this.#room(value.length + 1)
    this.#bytes.set(value, at)
    this.#bytes[at + value.length] = 0
  }

  text(value: string): void {
    if (value.includes('\0')) {
      throw new BerthError('INVALID', `Cannot encode ${JSON.stringify(value)}: it holds a NUL character`)
    }
    const size = Buffer.byteLength(value)
    this.u32(size)
    const at = this.#room(size + 1)
    this.#bytes.write(value, at, 'utf8')
    this.#bytes[at + size] = 0
  }

  list<T>(items: readonly T[], write: (item: T) => void): void {
    this.u32(items.length)
    for (const item of items) write(item)
  }

  /** A writer's content behind its length. */
  nested(inner: FlatWriter): void {
    const bytes = inner.finish()
    this.u32(bytes.length)
    const at = this.#room(bytes.length)
    this.#bytes.set(bytes, at)
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }
}

function outOfRange(value: number): BerthError {
  return new BerthError('INVALID', `Cannot encode ${value}: it is out of range`)
}

type Encoder<K extends Step['do']> = readonly [
  op: number,
  fields: (w: FlatWriter, s: Extract<Step, { do: K }>) => void,
]

/** Every step's number, the same as in `launcher/plan.h`, and its fields. */
export const ops: { readonly [K in Step['do']]: Encoder<K> } = {
  mkdir: [
    1,
    (w, s) => {
      w.text(s.path)
      w.u32(s.mode)
    },
  ],
  write: [2, (w, s) => writeFields(w, s.path, s.text, s.ignore ?? [])],
  'cgroup-attach': [3, (w, s) => w.text(s.path)],
  'cgroup-devices': [
    4,
    (w, s) => {
      w.text(s.path)
      w.bytes(s.program)
    },
  ],
  'map-ids': [
    5,
    (w, s) => {
      w.text(s.uidMap)
      w.text(s.gidMap)
    },
  ],
  overlay: [
    6,
    (w, s) => {
      w.text(s.folder)
      w.list(s.lower, (name) => w.text(name))
      w.text(s.upper ?? '')
      w.text(s.work ?? '')
      w.text(s.target)
      w.text(s.data ?? '')
    },
  ],
  mount: [
    7,
    (w, s) => {
      w.text(s.source)
      w.text(s.target)
      w.text(s.type)
      w.u32(s.flags)
      w.text(s.data ?? '')
    },
  ],
  'mount-in': [
    8,
    (w, s) => {
      w.text(s.rootfs)
      w.text(s.source)
      w.text(s.target)
      w.text(s.type)
      w.u32(s.flags)
      w.text(s.data ?? '')
      w.u8({ none: 0, folder: 1, file: 2 }[s.create])
      w.u32(s.propagation ?? 0)
      w.u32(s.recursive ?? 0)
    },
  ],
  mask: [9, (w, s) => inRootfs(w, s)],
  'read-only': [10, (w, s) => inRootfs(w, s)],
  'mknod-in': [
    11,
    (w, s) => {
      inRootfs(w, s)
      w.u32({ p: 0o010000, c: 0o020000, b: 0o060000 }[s.kind] | s.mode)
      w.u32(s.major)
      w.u32(s.minor)
      w.u32(s.uid)
      w.u32(s.gid)
    },
  ],
  'symlink-in': [
    12,
    (w, s) => {
      inRootfs(w, s)
      w.text(s.target)
    },
  ],
  'write-in': [
    13,
    (w, s) => {
      inRootfs(w, s)
      w.text(s.text)
      w.u32(s.mode)
    },
  ],
  console: [14, (w, s) => w.text(s.rootfs)],
  'pivot-root': [15, (w, s) => w.text(s.rootfs)],
  'remount-root': [16, (w, s) => w.u32(s.flags)],
  propagation: [17, (w, s) => w.u32(s.flags)],
  hostname: [18, (w, s) => w.text(s.name)],
  domainname: [19, (w, s) => w.text(s.name)],
  'loopback-up': [20, () => {}],
  /** The same as `write`: the launcher parses no key. */
  sysctl: [2, (w, s) => writeFields(w, sysctlPath(s.key), s.value, [])],
  setsid: [21, () => {}],
  rlimit: [
    22,
    (w, s) => {
      w.u32(s.resource)
      w.u64(s.soft)
      w.u64(s.hard)
    },
  ],
  'oom-score-adj': [23, (w, s) => w.text(String(s.value))],
  umask: [24, (w, s) => w.u32(s.mask)],
  barrier: [25, () => {}],
  chdir: [
    26,
    (w, s) => {
      w.text(s.path)
      w.u8(s.create)
    },
  ],
  bounding: [27, (w, s) => w.u64(s.mask)],
  credentials: [
    28,
    (w, s) => {
      w.u32(s.uid)
      w.u32(s.gid)
      w.list(s.groups, (group) => w.u32(group))
    },
  ],
  capabilities: [
    29,
    (w, s) => {
      w.u64(s.effective)
      w.u64(s.permitted)
      w.u64(s.inheritable)
      w.u64(s.ambient)
    },
  ],
  'no-new-privileges': [30, () => {}],
  seccomp: [
    31,
    (w, s) => {
      w.bytes(s.program)
      w.u32(s.flags)
    },
  ],
  exec: [
    32,
    (w, s) => {
      w.list(s.argv, (item) => w.text(item))
      w.list(s.env, (item) => w.text(item))
    },
  ],
  'bind-in': [
    33,
    (w, s) => {
      w.text(s.rootfs)
      w.text(s.sourceRoot)
      w.text(s.source)
      w.text(s.target)
      w.u8(s.createSource)
      w.u32(s.flags)
      w.u32(s.propagation ?? 0)
      w.u32(s.recursive ?? 0)
    },
  ],
}

function writeFields(w: FlatWriter, path: string, text: string, ignore: readonly number[]): void {
  w.text(path)
  w.text(text)
  w.list(ignore, (errno) => w.i32(errno))
}

function inRootfs(w: FlatWriter, s: { readonly rootfs: string; readonly path: string }): void {
  w.text(s.rootfs)
  w.text(s.path)
}

/** The file of a sysctl. As in sysctl(8), a key with a slash before any dot has slashes as its separators. */
export function sysctlPath(key: string): string {
  const first = /[./]/.exec(key)?.[0]
  const path = first === '/' ? key : key.replace(/[./]/g, (c) => (c === '.' ? '/' : '.'))
  if (key === '' || path.split('/').includes('..')) {
    throw new BerthError(
      'INVALID',
      `Cannot set the sysctl ${JSON.stringify(key)}: it is not a kernel setting's name`,
    )
  }
  return `/proc/sys/${path}`
}

function writeStep<K extends Step['do']>(w: FlatWriter, step: Extract<Step, { do: K }>): void {
  const [op, fields] = ops[step.do as K]
  const inner = new FlatWriter()
  inner.u16(op)
  inner.text(step.why)
  inner.text(step.at ?? '')
  fields(inner, step)
  w.nested(inner)
}

function writeSteps(w: FlatWriter, steps: readonly Step[]): void {
  const inner = new FlatWriter()
  for (const step of steps) writeStep(inner, step)
  w.u32(steps.length)
  w.nested(inner)
}

function writeJoin(w: FlatWriter, join: NamespaceJoin): void {
  w.text(join.path)
  w.u32(join.kind)
  w.text(join.why)
}

/** The flat form of a launch plan. Throws `INVALID` for a value that it cannot hold. */
export function encodeLaunch(plan: LaunchPlan): Uint8Array {
  const { supervisor } = plan
  const w = new FlatWriter()
  w.u32(plan.version)
  w.text(plan.id)
  w.text(supervisor.socket)
  w.text(supervisor.stateFolder)
  w.text(supervisor.log?.path ?? '')
  w.u64(supervisor.log?.maxSizeBytes ?? 0)
  w.u32(supervisor.log?.maxFiles ?? 0)
  w.u8(supervisor.terminal)
  w.u8(supervisor.stdin)
  w.u8(supervisor.stdinOnce)
  w.u8(supervisor.pauseOnly)
  w.list(supervisor.cgroups, (path) => w.text(path))
  w.list(plan.join, (join) => writeJoin(w, join))
  w.u64(plan.cloneFlags)
  writeSteps(w, plan.host)
  writeSteps(w, plan.parent)
  writeSteps(w, plan.child)
  return w.finish()
}

/** The flat form of an exec plan. Throws `INVALID` for a value that it cannot hold. */
export function encodeExec(plan: ExecPlan): Uint8Array {
  const w = new FlatWriter()
  w.u32(plan.version)
  w.text(plan.id)
  w.u8(plan.terminal)
  w.u8(plan.stdin)
  w.list(plan.join, (join) => writeJoin(w, join))
  writeSteps(w, plan.parent)
  writeSteps(w, plan.child)
  return w.finish()
}
