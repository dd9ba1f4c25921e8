import type { Step } from '../plan.ts'
import { deviceProgram } from './device-program.ts'
import type { OciDeviceRule, OciResources } from './types.ts'

/** One mounted cgroup hierarchy. */
export interface Hierarchy {
  /** As in `/proc/self/cgroup` and as the mount's data: `cpu,cpuacct`, `name=systemd`; empty for v2's. */
  readonly name: string
  readonly controllers: readonly string[]
  /** Where the host has it. */
  readonly mount: string
}

/** Where cgroups are on this host, and where berth's begin. */
export interface CgroupLayout {
  /** 2 when the only hierarchy is v2's; a hybrid host counts as 1, with v2's as one hierarchy of no controllers. */
  readonly version: 1 | 2
  readonly hierarchies: readonly Hierarchy[]
  /** Folder above the containers' in every hierarchy: `/berth`, `/berth.slice/POD`. */
  readonly parent: string
  /** CPUs and memory nodes of the host, such as `0-1`: v1's cpuset takes no process before they are written. */
  readonly cpus: string
  readonly mems: string
}

/** The container's folder in every hierarchy. */
export function cgroupFolders(layout: CgroupLayout, id: string): string[] {
  return layout.hierarchies.map(({ mount }) => `${mount}${layout.parent}/${id}`)
}

/** Makes the container's cgroups and sets their limits; before the process exists. */
export function cgroupSteps(layout: CgroupLayout, id: string, resources: OciResources): Step[] {
  const steps: Step[] = []
  for (const { mount, controllers, name } of layout.hierarchies) {
    let path = mount
    for (const part of `${layout.parent}/${id}`.split('/').slice(1)) {
      if (layout.version === 2 && controllers.length > 0) {
        steps.push({
          do: 'write',
          path: `${path}/cgroup.subtree_control`,
          text: controllers.map((controller) => `+${controller}`).join(' '),
          why: 'controllers for the cgroups below',
        })
      }
      path = `${path}/${part}`
      steps.push({ do: 'mkdir', path, mode: 0o755, why: `cgroup of ${name || 'the unified hierarchy'}` })
      if (layout.version === 1 && controllers.includes('cpuset')) {
        steps.push(write(path, 'cpuset.cpus', layout.cpus, 'a cpuset takes no process before it has CPUs'))
        steps.push(write(path, 'cpuset.mems', layout.mems, 'nor before it has memory nodes'))
      }
    }
    for (const limit of limits(layout.version, resources)) {
      if (controllers.includes(limit.controller)) {
        steps.push({
          do: 'write',
          path: `${path}/${limit.file}`,
          text: limit.text,
          why: limit.why,
          at: `linux.resources.${limit.at}`,
          ...(limit.optional && { ignore: [ENOENT, EOPNOTSUPP] }),
        })
      }
    }
    if (layout.version === 1 && controllers.includes('devices')) {
      steps.push(...deviceWrites(path, resources.devices ?? []))
    }
  }
  return steps
}

/** Puts the process into its cgroups and, on v2, the device policy onto them. */
export function cgroupAttachSteps(layout: CgroupLayout, id: string, resources: OciResources): Step[] {
  return layout.hierarchies.flatMap(({ mount, name, controllers }): Step[] => {
    const path = `${mount}${layout.parent}/${id}`
    const attach: Step = {
      do: 'cgroup-attach',
      path,
      why: `counted and limited by ${controllers.join(', ') || name || 'the unified hierarchy, which can kill it whole'}`,
    }
    if (layout.version === 1 || !resources.devices) return [attach]
    const program = deviceProgram(resources.devices)
    return [
      {
        do: 'cgroup-devices',
        path,
        program,
        why: 'devices that it may open',
        at: 'linux.resources.devices',
      },
      attach,
    ]
  })
}

const ENOENT = 2
const EOPNOTSUPP = 95

function write(folder: string, file: string, text: string, why: string): Step {
  return { do: 'write', path: `${folder}/${file}`, text, why }
}

interface Limit {
  readonly controller: string
  readonly file: string
  readonly text: string
  readonly why: string
  readonly at: string
  /** The kernel may lack the file (swap accounting, a scheduler without weights). */
  readonly optional?: boolean
}

/** OCI resources → files, in the order in which the kernel takes them. */
function limits(version: 1 | 2, resources: OciResources): Limit[] {
  const list = version === 1 ? limitsV1(resources) : limitsV2(resources)
  return list.filter((limit) => limit.text !== '')
}

const text = (value: number | string | undefined): string => (value === undefined ? '' : String(value))
/** Not set: not written. -1: the file's word for "no limit". */
const orMax = (value: number | undefined): string =>
  value === undefined || value === 0 ? '' : value < 0 ? 'max' : String(value)

function limitsV1({ memory = {}, cpu = {}, pids, blockIO }: OciResources): Limit[] {
  const limit = (
    controller: string,
    file: string,
    value: string,
    why: string,
    at: string,
    optional = false,
  ) => ({
    controller,
    file,
    text: value,
    why,
    at,
    optional,
  })
  return [
    limit('memory', 'memory.limit_in_bytes', text(memory.limit), 'memory', 'memory.limit'),
    limit(
      'memory',
      'memory.memsw.limit_in_bytes',
      text(memory.swap),
      'memory and swap together, after the memory limit that it may not be below',
      'memory.swap',
      true,
    ),
    limit(
      'memory',
      'memory.soft_limit_in_bytes',
      text(memory.reservation),
      'what is kept under pressure',
      'memory.reservation',
    ),
    limit(
      'memory',
      'memory.swappiness',
      text(memory.swappiness),
      'how readily it is swapped',
      'memory.swappiness',
      true,
    ),
    limit(
      'memory',
      'memory.oom_control',
      memory.disableOOMKiller ? '1' : '',
      'wait instead of being killed',
      'memory.disableOOMKiller',
    ),
    limit('cpu', 'cpu.shares', text(cpu.shares || undefined), 'weight against neighbours', 'cpu.shares'),
    limit('cpu', 'cpu.cfs_period_us', text(cpu.period || undefined), 'period of the CPU quota', 'cpu.period'),
    limit('cpu', 'cpu.cfs_quota_us', text(cpu.quota || undefined), 'CPU time in each period', 'cpu.quota'),
    limit(
      'cpu',
      'cpu.cfs_burst_us',
      text(cpu.burst || undefined),
      'CPU time that may be saved up',
      'cpu.burst',
      true,
    ),
    limit('cpu', 'cpu.idle', text(cpu.idle), 'runs when nobody else does', 'cpu.idle', true),
    limit('cpuset', 'cpuset.cpus', cpu.cpus ?? '', 'CPUs that it may use', 'cpu.cpus'),
    limit('cpuset', 'cpuset.mems', cpu.mems ?? '', 'memory nodes that it may use', 'cpu.mems'),
    limit('pids', 'pids.max', orMax(pids?.limit), 'processes and threads', 'pids.limit'),
    limit(
      'blkio',
      'blkio.bfq.weight',
      text(blockIO?.weight || undefined),
      'disk weight',
      'blockIO.weight',
      true,
    ),
  ]
}

function limitsV2({ memory = {}, cpu = {}, pids, blockIO, unified = {} }: OciResources): Limit[] {
  const limit = (file: string, value: string, why: string, at: string, optional = false): Limit => ({
    controller: file.split('.')[0] ?? '',
    file,
    text: value,
    why,
    at,
    optional,
  })
  return [
    limit('memory.max', orMax(memory.limit), 'memory', 'memory.limit'),
    limit(
      'memory.swap.max',
      swapOnly(memory.limit, memory.swap),
      'swap, without memory',
      'memory.swap',
      true,
    ),
    limit('memory.low', orMax(memory.reservation), 'what is kept under pressure', 'memory.reservation'),
    limit('cpu.weight', cpuWeight(cpu.shares), 'weight against neighbours', 'cpu.shares'),
    limit(
      'cpu.max',
      cpu.quota || cpu.period
        ? `${cpu.quota && cpu.quota > 0 ? cpu.quota : 'max'} ${cpu.period || 100_000}`
        : '',
      'CPU time in each period',
      'cpu.quota',
    ),
    limit('cpu.max.burst', text(cpu.burst || undefined), 'CPU time that may be saved up', 'cpu.burst', true),
    limit('cpu.idle', text(cpu.idle), 'runs when nobody else does', 'cpu.idle', true),
    limit('cpuset.cpus', cpu.cpus ?? '', 'CPUs that it may use', 'cpu.cpus'),
    limit('cpuset.mems', cpu.mems ?? '', 'memory nodes that it may use', 'cpu.mems'),
    limit('pids.max', orMax(pids?.limit), 'processes and threads', 'pids.limit'),
    limit('io.bfq.weight', text(blockIO?.weight || undefined), 'disk weight', 'blockIO.weight', true),
    ...Object.entries(unified).map(([file, value]) => limit(file, value, 'as asked', `unified["${file}"]`)),
  ]
}

/** v1 limits memory and swap together, v2 swap alone. 1 GiB of memory, 3 GiB together: 2 GiB of swap. */
function swapOnly(limit: number | undefined, together: number | undefined): string {
  if (together === undefined || together === 0) return ''
  if (together < 0) return 'max'
  return String(Math.max(0, together - (limit ?? 0)))
}

/**
 * v1's shares (2…262144, 1024 by default) as v2's weight (1…10000, 100 by default), so that 2 → 1, 1024 → 100 and
 * 262144 → 10000: runc's and crun's curve, 10^((log₂² + 125·log₂)/612 − 7/34).
 */
export function cpuWeight(shares: number | undefined): string {
  if (!shares) return ''
  const l = Math.log2(Math.min(262_144, Math.max(2, shares)))
  return String(Math.min(10_000, Math.ceil(10 ** ((l * l + 125 * l) / 612 - 7 / 34) - 1e-9)))
}

/** v1: one rule a write; `a` first clears the inherited list. */
function deviceWrites(path: string, rules: readonly OciDeviceRule[]): Step[] {
  return rules.map((rule, i): Step => {
    const number = (n: number | undefined) => (n === undefined || n < 0 ? '*' : String(n))
    const all = !rule.type || rule.type === 'a'
    const line = all
      ? 'a'
      : `${rule.type} ${number(rule.major)}:${number(rule.minor)} ${rule.access ?? 'rwm'}`
    return {
      do: 'write',
      path: `${path}/devices.${rule.allow ? 'allow' : 'deny'}`,
      text: line,
      why: rule.allow ? 'a device that it may use' : 'no device but those that follow',
      at: `linux.resources.devices[${i}]`,
    }
  })
}

/**
 * The hierarchies in `/proc/self/mountinfo`, in its order. `controllers` are those of v2's root
 * (`cgroup.controllers`), which the mount does not tell.
 */
export function parseHierarchies(mountinfo: string, controllers: readonly string[]): Hierarchy[] {
  const found = new Map<string, Hierarchy>()
  for (const line of mountinfo.split('\n')) {
    const [left, right] = line.split(' - ')
    const mount = left?.split(' ')[4]
    const [type, , options] = right?.split(' ') ?? []
    if (!mount || !options) continue
    if (type === 'cgroup2') found.set('', { name: '', controllers, mount })
    if (type === 'cgroup') {
      const names = options
        .split(',')
        .filter((o) => !notControllers.has(o) && !/^(release_agent|cpuset_v2)/.test(o))
      const name = names.join(',')
      found.set(name, { name, controllers: names.filter((n) => !n.startsWith('name=')), mount })
    }
  }
  return [...found.values()]
}

const notControllers = new Set(['rw', 'ro', 'xattr', 'noprefix', 'clone_children', 'none', 'seclabel'])
