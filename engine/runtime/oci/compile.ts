import { BerthError } from '../../base/error.ts'
import type { ExecPlan, LaunchPlan, NamespaceJoin, Step, SupervisorSettings } from '../plan.ts'
import { type CgroupLayout, cgroupAttachSteps, cgroupFolders, cgroupSteps } from './cgroups.ts'
import { defaultDevices, defaultSymlinks } from './defaults.ts'
import { CLONE, MS } from './linux.ts'
import { mountSteps, propagationFlag } from './mounts.ts'
import { type KernelFacts, limitSteps, processSteps } from './process-steps.ts'
import type { OciDevice, OciIdMapping, OciNamespaceType, OciProcess, OciSeccomp, OciSpec } from './types.ts'

/** What the root file system is made of. */
export type RootfsSource =
  | {
      readonly kind: 'overlay'
      /** Lower paths are relative to it, top first. */
      readonly folder: string
      readonly lower: readonly string[]
      readonly upper: string
      readonly work: string
      readonly target: string
    }
  | { readonly kind: 'folder'; readonly target: string }

export interface CompileContext {
  readonly id: string
  readonly rootfs: RootfsSource
  readonly supervisor: Omit<SupervisorSettings, 'cgroups'>
  readonly cgroups: CgroupLayout
  readonly kernel: KernelFacts
  /** Bind sources that are not folders. */
  readonly files?: ReadonlySet<string>
  /** A seccomp program compiled before for this profile. */
  readonly compiled?: { readonly program: Uint8Array; readonly flags: number }
}

const cloneFlag: Readonly<Record<OciNamespaceType, number>> = {
  user: CLONE.NEWUSER,
  mount: CLONE.NEWNS,
  pid: CLONE.NEWPID,
  network: CLONE.NEWNET,
  ipc: CLONE.NEWIPC,
  uts: CLONE.NEWUTS,
  cgroup: CLONE.NEWCGROUP,
  time: CLONE.NEWTIME,
}

/**
 * Compiles an OCI configuration to the system calls that make the container. Pure: the same configuration and
 * context give the same plan.
 */
export function compile(spec: OciSpec, context: CompileContext): LaunchPlan {
  const { linux = {}, process } = spec
  const { id, cgroups, kernel, rootfs } = context
  if (!process) throw new BerthError('INVALID', 'Cannot run a configuration without "process"')
  if (process.args.length === 0)
    throw new BerthError('INVALID', 'Cannot run nothing: "process.args" is empty')
  const namespaces = linux.namespaces ?? []
  const own = namespaces.reduce((sum, { type, path }) => (path ? sum : sum | cloneFlag[type]), 0)
  if (!(own & CLONE.NEWNS)) {
    throw new BerthError('UNSUPPORTED', 'Cannot run a container without a mount namespace of its own', {
      details: { at: 'linux.namespaces' },
    })
  }
  const resources = linux.resources ?? {}
  return {
    version: 1,
    id,
    supervisor: { ...context.supervisor, cgroups: cgroupFolders(cgroups, id) },
    join: joins(namespaces),
    cloneFlags: own,
    host: cgroupSteps(cgroups, id, resources),
    parent: [...mappingSteps(spec), ...cgroupAttachSteps(cgroups, id, resources)],
    child: [
      ...rootfsSteps(linux.rootfsPropagation, rootfs),
      ...(spec.mounts ?? []).flatMap((mount, i) =>
        mountSteps(mount, i, {
          rootfs: rootfs.target,
          layout: cgroups,
          id,
          own,
          files: context.files ?? new Set(),
        }),
      ),
      ...deviceSteps(spec, own, rootfs.target),
      ...sessionSteps(process, rootfs.target),
      ...(linux.maskedPaths ?? []).map(
        (path, i): Step => ({
          do: 'mask',
          rootfs: rootfs.target,
          path,
          why: 'tells too much of the host',
          at: `linux.maskedPaths[${i}]`,
        }),
      ),
      ...(linux.readonlyPaths ?? []).map(
        (path, i): Step => ({
          do: 'read-only',
          rootfs: rootfs.target,
          path,
          why: 'settings of the host, to read only',
          at: `linux.readonlyPaths[${i}]`,
        }),
      ),
      ...nameSteps(spec, own),
      ...limitSteps(process),
      {
        do: 'pivot-root',
        rootfs: rootfs.target,
        why: "the image becomes /, and the host's files are gone",
        at: 'root.path',
      },
      ...afterPivot(spec),
      { do: 'barrier', why: 'created; waits for start' },
      ...processSteps(process, {
        kernel,
        seccomp: linux.seccomp,
        ...(context.compiled && { compiled: context.compiled }),
      }),
    ],
  }
}

export interface ExecContext {
  readonly id: string
  /** The container's init, as the host sees it. */
  readonly pid: number
  readonly cgroups: CgroupLayout
  /** CLONE_NEW* of the namespaces that are not the host's. */
  readonly namespaces: number
  readonly kernel: KernelFacts
  readonly seccomp: OciSeccomp | undefined
  readonly stdin: boolean
  readonly compiled?: { readonly program: Uint8Array; readonly flags: number }
}

/** A further process in a running container: all of its namespaces and cgroups, and limits of its own. */
export function compileExec(process: OciProcess, context: ExecContext): ExecPlan {
  if (process.args.length === 0) throw new BerthError('INVALID', 'Cannot run nothing: no command was given')
  const { id, pid, cgroups } = context
  return {
    version: 1,
    id,
    terminal: process.terminal ?? false,
    stdin: context.stdin,
    join: joinOrder
      .filter((type) => context.namespaces & cloneFlag[type])
      .map((type) => ({
        path: `/proc/${pid}/ns/${nsFile[type]}`,
        kind: cloneFlag[type],
        why: `the container's ${words[type]}`,
      })),
    parent: cgroupAttachSteps(cgroups, id, {}),
    child: [
      ...sessionSteps(process, '/'),
      ...limitSteps(process),
      ...processSteps(process, {
        kernel: context.kernel,
        seccomp: context.seccomp,
        ...(context.compiled && { compiled: context.compiled }),
      }),
    ],
  }
}

/** A user namespace first: it owns the others. The mount namespace last: the others' paths are the host's. */
const joinOrder: readonly OciNamespaceType[] = [
  'user',
  'cgroup',
  'ipc',
  'uts',
  'network',
  'pid',
  'time',
  'mount',
]

const nsFile: Readonly<Record<OciNamespaceType, string>> = {
  user: 'user',
  cgroup: 'cgroup',
  ipc: 'ipc',
  uts: 'uts',
  network: 'net',
  pid: 'pid',
  time: 'time',
  mount: 'mnt',
}

const words: Readonly<Record<OciNamespaceType, string>> = {
  user: 'user and group ids',
  cgroup: 'cgroups',
  ipc: 'shared memory and message queues',
  uts: 'host name',
  network: 'network',
  pid: 'processes',
  time: 'clocks',
  mount: 'files',
}

function joins(namespaces: readonly { type: OciNamespaceType; path?: string }[]): NamespaceJoin[] {
  return joinOrder.flatMap((wanted) =>
    namespaces.flatMap(({ type, path }) =>
      type === wanted && path
        ? [{ path, kind: cloneFlag[type], why: `shares the sandbox's ${words[type]}` }]
        : [],
    ),
  )
}

function mappingSteps({ linux = {} }: OciSpec): Step[] {
  const { uidMappings = [], gidMappings = [] } = linux
  if (uidMappings.length === 0 && gidMappings.length === 0) return []
  const lines = (list: readonly OciIdMapping[]) =>
    list.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join('')
  return [
    {
      do: 'map-ids',
      uidMap: lines(uidMappings),
      gidMap: lines(gidMappings),
      why: "the container's users as users of the host",
      at: 'linux.uidMappings',
    },
  ]
}

/**
 * The rest of the host's mounts become slaves: what the host unmounts later does not stay busy here, and nothing
 * that is mounted here reaches the host.
 */
function rootfsSteps(propagation: string | undefined, rootfs: RootfsSource): Step[] {
  const flags = (propagation && propagationFlag(propagation)) || MS.SLAVE | MS.REC
  const shared = (flags & MS.SHARED) !== 0 ? MS.SLAVE | MS.REC : flags
  const first: Step = {
    do: 'propagation',
    flags: shared,
    why: 'mounts made here stay here',
    at: 'linux.rootfsPropagation',
  }
  if (rootfs.kind === 'overlay') {
    const { folder, lower, upper, work, target } = rootfs
    return [
      first,
      {
        do: 'overlay',
        folder,
        lower,
        upper,
        work,
        target,
        why: `the image's ${lower.length} ${lower.length === 1 ? 'layer' : 'layers'} below the container's own`,
        at: 'root.path',
      },
    ]
  }
  return [
    first,
    {
      do: 'mount',
      source: rootfs.target,
      target: rootfs.target,
      type: '',
      flags: MS.BIND | MS.REC,
      why: 'pivot_root takes mount points only',
      at: 'root.path',
    },
  ]
}

/** Nothing is made in a /dev that is bound from the host. */
function deviceSteps(spec: OciSpec, own: number, rootfs: string): Step[] {
  const dev = (spec.mounts ?? []).find((mount) => mount.destination === '/dev')
  if (!dev || dev.type === 'bind' || dev.options?.some((option) => /^r?bind$/.test(option))) return []
  const asked = spec.linux?.devices ?? []
  const defaults = defaultDevices.filter((device) => !asked.some(({ path }) => path === device.path))
  return [
    ...defaults.map((device): Step => deviceStep(device, own, rootfs, 'a device that every program expects')),
    ...asked.map(
      (device, i): Step => ({
        ...deviceStep(device, own, rootfs, 'a device, as asked'),
        at: `linux.devices[${i}]`,
      }),
    ),
    ...defaultSymlinks.map(
      ([path, target]): Step => ({
        do: 'symlink-in',
        rootfs,
        path,
        target,
        why: 'a name that every program expects',
      }),
    ),
  ]
}

/** A user namespace may not make nodes: there the host's are bound. */
function deviceStep(device: OciDevice, own: number, rootfs: string, why: string): Step {
  if (own & CLONE.NEWUSER) {
    return {
      do: 'mount-in',
      rootfs,
      source: device.path,
      target: device.path,
      type: '',
      flags: MS.BIND,
      create: 'file',
      why,
    }
  }
  return {
    do: 'mknod-in',
    rootfs,
    path: device.path,
    kind: device.type === 'u' ? 'c' : device.type,
    major: device.major ?? 0,
    minor: device.minor ?? 0,
    mode: device.fileMode ?? 0o666,
    uid: device.uid ?? 0,
    gid: device.gid ?? 0,
    why,
  }
}

function sessionSteps(process: OciProcess, rootfs: string): Step[] {
  const session: Step = { do: 'setsid', why: "signals of berth's terminal do not reach it" }
  if (!process.terminal) return [session]
  return [session, { do: 'console', rootfs, why: 'its terminal', at: 'process.terminal' }]
}

/** Names and sysctls belong to namespaces: those of the host are never written. */
function nameSteps({ hostname, domainname, linux }: OciSpec, own: number): Step[] {
  const steps: Step[] = []
  if (own & CLONE.NEWNET) steps.push({ do: 'loopback-up', why: '127.0.0.1 answers' })
  if (hostname && own & CLONE.NEWUTS) {
    steps.push({ do: 'hostname', name: hostname, why: 'its own name', at: 'hostname' })
  }
  if (domainname && own & CLONE.NEWUTS) {
    steps.push({ do: 'domainname', name: domainname, why: "its domain's name", at: 'domainname' })
  }
  for (const [key, value] of Object.entries(linux?.sysctl ?? {})) {
    steps.push({
      do: 'sysctl',
      key,
      value,
      why: 'a kernel setting of its namespaces',
      at: `linux.sysctl["${key}"]`,
    })
  }
  return steps
}

function afterPivot({ root, linux }: OciSpec): Step[] {
  const steps: Step[] = []
  const flags = linux?.rootfsPropagation ? propagationFlag(linux.rootfsPropagation) : undefined
  if (flags !== undefined && flags & (MS.SHARED | MS.UNBINDABLE)) {
    steps.push({ do: 'propagation', flags, why: 'as asked', at: 'linux.rootfsPropagation' })
  }
  if (root?.readonly) {
    steps.push({
      do: 'remount-root',
      flags: MS.RDONLY,
      why: "the image's files cannot be changed",
      at: 'root.readonly',
    })
  }
  return steps
}
