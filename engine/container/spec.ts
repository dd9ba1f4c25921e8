import { BerthError } from '../base/error.ts'
import {
  defaultCapabilities,
  defaultDeviceRules,
  defaultMaskedPaths,
  defaultMounts,
  defaultReadonlyPaths,
  defaultShmSizeBytes,
} from '../runtime/oci/defaults.ts'
import { capabilities as allCapabilities, capabilityMask } from '../runtime/oci/linux.ts'
import type { KernelFacts } from '../runtime/oci/process-steps.ts'
import { defaultProfile, resolveProfile, type SeccompProfile } from '../runtime/oci/seccomp-profile.ts'
import type {
  OciCapabilities,
  OciDevice,
  OciDeviceRule,
  OciMount,
  OciNamespaceType,
  OciProcess,
  OciResources,
  OciSeccomp,
  OciSpec,
} from '../runtime/oci/types.ts'
import type {
  ContainerRecord,
  ContainerSettings,
  ExecSettings,
  MountPoint,
  ResourceSettings,
} from './container.ts'
import { mergeEnv, normalizePath } from './resolve.ts'
import type { ResolvedUser } from './user.ts'

/** What the machine said about a container that is about to start. */
export interface SpecFacts {
  readonly user: ResolvedUser
  readonly kernel: KernelFacts
  /** Namespaces to join, by kind. A kind that is absent is the host's; `pid` and `cgroup`: 'new' for one of its own. */
  readonly namespaces: Readonly<Partial<Record<'network' | 'ipc' | 'uts', string>>> & {
    readonly pid: 'new' | 'host' | { readonly path: string }
    readonly cgroup: 'new' | 'host'
  }
  /** The engine's own files: hosts, hostname, resolv.conf. */
  readonly etc: readonly { readonly target: string; readonly source: string }[]
  /** Nodes of the host: all for privileged, else those that were asked for. */
  readonly devices: readonly (OciDevice & { readonly permissions: string })[]
  readonly rootfs: string
  /** Folder of the host that is its /dev/shm; absent: one of its own. */
  readonly sharedMemory?: string
}

/** A container's OCI configuration, by docker's rules. */
export function buildSpec(record: ContainerRecord, facts: SpecFacts): OciSpec {
  const { settings } = record
  const privileged = settings.privileged ?? false
  const seccomp = seccompOf(settings, facts.kernel)
  const covered = new Set(record.mounts.map((mount) => mount.target))
  return {
    ociVersion: '1.2.0',
    hostname: record.hostname,
    ...(settings.domainname && { domainname: settings.domainname }),
    process: processOf(record, facts),
    root: { path: facts.rootfs, readonly: settings.readOnlyRootfs ?? false },
    mounts: [
      ...defaultMounts({ shmSizeBytes: settings.shmSizeBytes || defaultShmSizeBytes, privileged })
        .map((mount) => (mount.destination === '/dev/shm' ? shared(mount, facts.sharedMemory) : mount))
        .filter((mount) => !covered.has(mount.destination)),
      ...facts.etc
        .filter(({ target }) => !covered.has(target))
        .map(({ target, source }) => ({
          destination: target,
          source,
          type: 'bind',
          options: ['rbind', 'rprivate'],
        })),
      ...record.mounts.map(mountOf),
    ],
    linux: {
      namespaces: namespacesOf(facts.namespaces),
      devices: facts.devices,
      resources: resourcesOf(settings, facts.devices),
      sysctl: settings.sandbox ? {} : { ...settings.sysctls },
      maskedPaths: privileged ? [] : (settings.maskedPaths ?? defaultMaskedPaths),
      readonlyPaths: privileged ? [] : (settings.readonlyPaths ?? defaultReadonlyPaths),
      ...(seccomp && { seccomp }),
    },
  }
}

/** A further process in the container, with the container's user, environment and rights unless told otherwise. */
export function execProcess(record: ContainerRecord, exec: ExecSettings, user: ResolvedUser): OciProcess {
  const { settings, process } = record
  const privileged = exec.privileged || settings.privileged || false
  return {
    terminal: exec.terminal,
    user: { uid: user.uid, gid: user.gid, additionalGids: user.groups },
    args: exec.argv,
    env: environment(record, user, exec.env ?? [], exec.terminal),
    cwd: normalizePath(exec.workingDir || process.workingDir),
    capabilities: capabilitySets({ ...settings, privileged }, user),
    ...(settings.noNewPrivileges && { noNewPrivileges: true }),
  }
}

function processOf(record: ContainerRecord, { user, kernel }: SpecFacts): OciProcess {
  const { settings, process } = record
  return {
    terminal: settings.terminal,
    user: { uid: user.uid, gid: user.gid, additionalGids: user.groups },
    args: [...process.entrypoint, ...process.cmd],
    env: environment(record, user, [], settings.terminal),
    cwd: process.workingDir,
    capabilities: capabilitySets(settings, user),
    rlimits: (settings.ulimits ?? []).map(({ name, soft, hard }) => ({
      type: `RLIMIT_${name.toUpperCase()}`,
      soft,
      hard,
    })),
    ...(settings.noNewPrivileges && { noNewPrivileges: true }),
    ...(settings.oomScoreAdj !== undefined && { oomScoreAdj: allowedOomScore(settings.oomScoreAdj, kernel) }),
  }
}

/**
 * Without CAP_SYS_RESOURCE the kernel lets nobody go below its own score (proc(5)): a container on such a machine gets
 * berth's own score instead, rather than no start.
 */
function allowedOomScore(asked: number, kernel: KernelFacts): number {
  const free = (kernel.capabilities & capabilityMask(['CAP_SYS_RESOURCE'])) !== 0n
  return free ? asked : Math.max(asked, kernel.oomScoreAdj)
}

/** HOSTNAME, HOME and, on a terminal, TERM are there unless the image or the caller sets them. */
function environment(
  { process, hostname, settings }: ContainerRecord,
  user: ResolvedUser,
  extra: readonly string[],
  terminal: boolean,
): string[] {
  const given = [
    ...(settings.sandbox ? [] : [`HOSTNAME=${hostname}`]),
    ...(terminal ? ['TERM=xterm'] : []),
    `HOME=${user.home}`,
  ]
  const merged = mergeEnv([], [...process.env, ...extra])
  const has = (entry: string) => merged.some((e) => e.startsWith(entry.slice(0, entry.indexOf('=') + 1)))
  return [...merged, ...given.filter((entry) => !has(entry))]
}

/** `ALL` in either list; names with or without CAP_, in any case. */
export function capabilityNames(settings: Pick<ContainerSettings, 'capabilities' | 'privileged'>): string[] {
  if (settings.privileged) return [...allCapabilities]
  const { add = [], drop = [] } = settings.capabilities ?? {}
  const canonical = (name: string): string => {
    const full = name.toUpperCase().replace(/^(CAP_)?/, 'CAP_')
    if (full !== 'CAP_ALL' && !(allCapabilities as readonly string[]).includes(full)) {
      throw new BerthError('INVALID', `Unknown capability: ${JSON.stringify(name)}`, {
        hint: 'names are as in capabilities(7), such as NET_ADMIN',
      })
    }
    return full
  }
  const added = add.map(canonical)
  const dropped = drop.map(canonical)
  const base = added.includes('CAP_ALL')
    ? allCapabilities
    : dropped.includes('CAP_ALL')
      ? []
      : defaultCapabilities
  return [...new Set([...base, ...added])].filter(
    (name) =>
      name !== 'CAP_ALL' &&
      (!dropped.includes(name) || (added.includes(name) && dropped.includes('CAP_ALL'))),
  )
}

/** A user other than root has none of them at once: they bound what set-user-ID programs give. */
function capabilitySets(
  settings: Pick<ContainerSettings, 'capabilities' | 'privileged'>,
  user: ResolvedUser,
): OciCapabilities {
  const names = capabilityNames(settings)
  return user.uid === 0 ? { bounding: names, effective: names, permitted: names } : { bounding: names }
}

/** The profile as it holds for this container's capabilities; undefined: no filter. */
export function seccompOf(settings: ContainerSettings, kernel: KernelFacts): OciSeccomp | undefined {
  if (settings.privileged || settings.seccomp === 'unconfined') return undefined
  const profile = typeof settings.seccomp === 'object' ? (settings.seccomp as SeccompProfile) : defaultProfile
  return resolveProfile(profile, {
    capabilities: capabilityNames(settings),
    arch: kernel.arch,
    kernel: kernel.release,
  })
}

function namespacesOf({
  network,
  ipc,
  uts,
  pid,
  cgroup,
}: SpecFacts['namespaces']): { type: OciNamespaceType; path?: string }[] {
  const joined = Object.entries({ network, ipc, uts }).flatMap(([type, path]) =>
    path ? [{ type: type as OciNamespaceType, path }] : [],
  )
  return [
    { type: 'mount' },
    ...(pid === 'host' ? [] : [{ type: 'pid' as const, ...(pid !== 'new' && { path: pid.path }) }]),
    ...(cgroup === 'new' ? [{ type: 'cgroup' as const }] : []),
    ...joined,
  ]
}

function shared(mount: OciMount, source: string | undefined): OciMount {
  if (!source) return mount
  const { destination } = mount
  return { destination, type: 'bind', source, options: ['rbind', 'rprivate', 'nosuid', 'noexec', 'nodev'] }
}

function mountOf(mount: MountPoint): OciMount {
  const { setting, target, source } = mount
  const access = mount.readOnly ? 'ro' : 'rw'
  if (mount.kind === 'tmpfs') {
    const size = setting.sizeBytes ? [`size=${setting.sizeBytes}`] : []
    const mode = setting.mode === undefined ? [] : [`mode=${setting.mode.toString(8)}`]
    return {
      destination: target,
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['noexec', 'nosuid', 'nodev', access, ...size, ...mode, ...(setting.options ?? [])],
    }
  }
  return {
    destination: target,
    type: 'bind',
    source,
    options: ['rbind', access, setting.propagation ?? 'rprivate'],
    ...(setting.subPath && { part: { path: setting.subPath, create: setting.createSource ?? false } }),
  }
}

/** CPUs as quota and period; memory without a swap limit gets as much swap again, as docker gives. */
export function resourcesOf(settings: ContainerSettings, devices: SpecFacts['devices']): OciResources {
  const r = settings.resources
  const shared: OciDeviceRule[] = devices.map(({ type, major, minor, permissions }) => ({
    allow: true,
    type: type === 'b' ? 'b' : 'c',
    ...(major !== undefined && { major }),
    ...(minor !== undefined && { minor }),
    access: permissions,
  }))
  return {
    devices: settings.privileged ? [{ allow: true, access: 'rwm' }] : [...defaultDeviceRules, ...shared],
    memory: memoryOf(r),
    cpu: cpuOf(r),
    ...(r.pidsLimit !== undefined && { pids: { limit: r.pidsLimit } }),
    ...(r.blkioWeight !== undefined && { blockIO: { weight: r.blkioWeight } }),
  }
}

function memoryOf(r: ResourceSettings): NonNullable<OciResources['memory']> {
  const swap = r.memorySwapBytes || (r.memoryBytes ? 2 * r.memoryBytes : 0)
  return {
    ...(r.memoryBytes && { limit: r.memoryBytes }),
    ...(swap && { swap }),
    ...(r.memoryReservationBytes && { reservation: r.memoryReservationBytes }),
  }
}

/** 1.5 CPUs: 150,000 µs in each period of 100,000 µs. */
function cpuOf(r: ResourceSettings): NonNullable<OciResources['cpu']> {
  const period = r.nanoCpus ? 100_000 : r.cpuPeriod
  const quota = r.nanoCpus ? Math.floor(r.nanoCpus / 10_000) : r.cpuQuota
  return {
    ...(r.cpuShares && { shares: r.cpuShares }),
    ...(period && { period }),
    ...(quota && { quota }),
    ...(r.cpusetCpus && { cpus: r.cpusetCpus }),
    ...(r.cpusetMems && { mems: r.cpusetMems }),
  }
}
