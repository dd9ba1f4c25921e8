import type { ExecPlan, LaunchPlan, Step } from '../plan.ts'
import { CLONE, capabilities, MS, rlimits } from './linux.ts'

/**
 * The plan as a person reads it: one line a system call with its reason, in the order of execution, such as
 * `mount("proc", "/proc", "proc", MS_NOSUID|MS_NOEXEC|MS_NODEV)   process list of the container's own PID namespace`.
 */
export function explainPlan(plan: LaunchPlan | ExecPlan): string[] {
  const clone = 'cloneFlags' in plan
  const lines: (readonly [call: string, why: string])[] = [
    ...('host' in plan ? plan.host : []).map(line),
    ...plan.join.map(
      ({ path, kind, why }) => [`setns(${text(path)}, ${flags('CLONE_', kind, CLONE)})`, why] as const,
    ),
    clone
      ? [
          `clone3(${flags('CLONE_', plan.cloneFlags & ~CLONE.NEWCGROUP, CLONE)})`,
          "the container's first process, in namespaces of its own",
        ]
      : ['clone3(0)', 'a further process of the container'],
    ...plan.parent.map(line),
    ...(clone && plan.cloneFlags & CLONE.NEWCGROUP
      ? [
          [
            'unshare(CLONE_NEWCGROUP)',
            'its cgroup is the root that it sees, so only once it is in it',
          ] as const,
        ]
      : []),
    ...plan.child.map(line),
  ]
  const width = Math.min(88, Math.max(...lines.map(([call]) => call.length)))
  return lines.map(([call, why]) => `${call.padEnd(width)}   ${why}`)
}

const line = (step: Step): readonly [string, string] => [describe(step), printable(step.why)]

type Describers = { readonly [K in Step['do']]: (step: Extract<Step, { do: K }>) => string }

/** No step without its system call. */
const describers: Describers = {
  mkdir: ({ path, mode }) => `mkdir(${text(path)}, ${octal(mode)})`,
  write: ({ path, text: content }) => `write(${text(path)}, ${text(content)})`,
  'cgroup-attach': ({ path }) => `clone3(CLONE_INTO_CGROUP), or write(${text(`${path}/tasks`)}, 0)`,
  'cgroup-devices': ({ path, program }) =>
    `bpf(BPF_PROG_ATTACH, ${text(path)}, BPF_CGROUP_DEVICE, ${program.length / 8} instructions)`,
  'map-ids': ({ uidMap, gidMap }) =>
    `write("/proc/PID/uid_map", ${text(uidMap)}); write("/proc/PID/gid_map", ${text(gidMap)})`,
  overlay: ({ folder, lower, upper, work, target }) =>
    `mount("overlay", ${text(target)}, "overlay", 0, ${text(
      [
        `lowerdir=${shortList(lower)} of ${folder}`,
        ...(upper ? [`upperdir=${upper}`] : []),
        ...(work ? [`workdir=${work}`] : []),
      ].join(','),
    )})`,
  mount: ({ source, target, type, flags: f, data }) => mountCall(source, target, type, f, data),
  'mount-in': (s) => {
    const call = mountCall(s.source, s.target, s.type, s.flags, s.data)
    const spread =
      s.propagation === undefined
        ? ''
        : `; mount(NULL, ${text(s.target)}, NULL, ${flags('MS_', s.propagation, MS)})`
    return s.recursive
      ? `${call}${spread}; mount_setattr(${text(s.target)}, AT_RECURSIVE, 0x${s.recursive.toString(16)})`
      : `${call}${spread}`
  },
  'bind-in': (s) =>
    `openat2(${text(s.sourceRoot)}, ${text(s.source)}, RESOLVE_IN_ROOT); ${mountCall('that', s.target, '', s.flags)}`,
  mask: ({ path }) => `mount("/dev/null" or an empty tmpfs, ${text(path)}, MS_RDONLY)`,
  'read-only': ({ path }) => `mount(${text(path)}, ${text(path)}, NULL, MS_BIND|MS_REMOUNT|MS_RDONLY)`,
  'mknod-in': ({ path, kind, major, minor, mode }) =>
    `mknod(${text(path)}, ${kind === 'b' ? 'S_IFBLK' : kind === 'p' ? 'S_IFIFO' : 'S_IFCHR'}|${octal(mode)}, makedev(${major}, ${minor}))`,
  'symlink-in': ({ path, target }) => `symlink(${text(target)}, ${text(path)})`,
  'write-in': ({ path, text: content, mode }) =>
    `open(${text(path)}, O_CREAT|O_TRUNC, ${octal(mode)}); write(${content.length} bytes)`,
  console: () => 'open("/dev/ptmx"); ioctl(TIOCSCTTY); mount("/dev/pts/N", "/dev/console", NULL, MS_BIND)',
  'pivot-root': ({ rootfs }) => `pivot_root(${text(rootfs)}, "."); umount2(".", MNT_DETACH)`,
  'remount-root': ({ flags: f }) => `mount(NULL, "/", NULL, ${flags('MS_', MS.REMOUNT | MS.BIND | f, MS)})`,
  propagation: ({ flags: f }) => `mount(NULL, "/", NULL, ${flags('MS_', f, MS)})`,
  hostname: ({ name }) => `sethostname(${text(name)})`,
  domainname: ({ name }) => `setdomainname(${text(name)})`,
  'loopback-up': () => 'ioctl(SIOCSIFFLAGS, "lo", IFF_UP)',
  sysctl: ({ key, value }) => `write(${text(`/proc/sys/${key.replaceAll('.', '/')}`)}, ${text(value)})`,
  setsid: () => 'setsid()',
  rlimit: ({ resource, soft, hard }) => `setrlimit(${rlimitName(resource)}, ${soft}, ${hard})`,
  'oom-score-adj': ({ value }) => `write("/proc/self/oom_score_adj", "${value}")`,
  umask: ({ mask }) => `umask(${octal(mask)})`,
  barrier: () => 'read(barrier)',
  chdir: ({ path, create }) => `${create ? `mkdir(${text(path)}); ` : ''}chdir(${text(path)})`,
  bounding: ({ mask }) => `prctl(PR_CAPBSET_DROP, all but ${capabilityNames(mask)})`,
  credentials: ({ uid, gid, groups }) =>
    `setgroups([${groups.join(', ')}]); setresgid(${gid}); setresuid(${uid})`,
  capabilities: ({ effective, permitted, inheritable, ambient }) =>
    effective === permitted && inheritable === 0n && ambient === 0n
      ? `capset(${capabilityNames(effective)})`
      : `capset(effective ${capabilityNames(effective)}, permitted ${capabilityNames(permitted)}, inheritable ${capabilityNames(inheritable)}, ambient ${capabilityNames(ambient)})`,
  'no-new-privileges': () => 'prctl(PR_SET_NO_NEW_PRIVS, 1)',
  seccomp: ({ program }) => `seccomp(SECCOMP_SET_MODE_FILTER, ${program.length / 8} instructions)`,
  exec: ({ argv }) => `execve([${argv.map(text).join(', ')}])`,
}

function describe(step: Step): string {
  return (describers[step.do] as (step: Step) => string)(step)
}

const text = (value: string): string => printable(JSON.stringify(value))

/** Control characters escaped, so that nothing of a configuration reaches the terminal raw. */
function printable(value: string): string {
  return value.replace(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

const octal = (mode: number): string => `0${mode.toString(8)}`

const shortList = (list: readonly string[]): string =>
  list.length > 4 ? `${list.slice(0, 3).join(':')}:… (${list.length} layers)` : list.join(':')

function mountCall(source: string, target: string, type: string, f: number, data?: string): string {
  const kind = type === '' ? 'NULL' : text(type)
  return `mount(${text(source)}, ${text(target)}, ${kind}, ${flags('MS_', f, MS)}${data ? `, ${text(data)}` : ''})`
}

function flags(prefix: string, value: number, names: Readonly<Record<string, number>>): string {
  const found = Object.entries(names).filter(([, bit]) => value & bit)
  const rest = value & ~found.reduce((sum, [, bit]) => sum | bit, 0)
  const list = found.map(([name]) => prefix + name)
  if (rest) list.push(`0x${(rest >>> 0).toString(16)}`)
  return list.join('|') || '0'
}

function rlimitName(resource: number): string {
  const found = Object.entries(rlimits).find(([, number]) => number === resource)
  return found ? `RLIMIT_${found[0].toUpperCase()}` : String(resource)
}

function capabilityNames(mask: bigint): string {
  if (mask === 0n) return 'none'
  const names = capabilities.filter((_, bit) => mask & (1n << BigInt(bit)))
  return names.length >= capabilities.length - 1 ? `${names.length} capabilities` : names.join('|')
}
