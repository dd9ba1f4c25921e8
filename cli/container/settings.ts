import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { BerthError } from '../../engine/base/error.ts'
import type {
  ContainerCreate,
  EndpointRequest,
  HostConfig,
  MountRequest,
  PortMap,
} from '../../engine/client/docker/types.ts'
import { parseBytes } from '../units.ts'
import { parseMount, parseVolume } from './mounts.ts'
import { parsePort } from './ports.ts'

/** The flags of `run` and `create`, as commander gives them. */
export interface RunFlags {
  readonly addHost?: string[]
  readonly attach?: string[]
  readonly capAdd?: string[]
  readonly capDrop?: string[]
  readonly cgroupns?: string
  readonly cpuPeriod?: string
  readonly cpuQuota?: string
  readonly cpuShares?: string
  readonly cpus?: string
  readonly cpusetCpus?: string
  readonly cpusetMems?: string
  readonly detach?: true
  readonly device?: string[]
  readonly dns?: string[]
  readonly dnsOption?: string[]
  readonly dnsSearch?: string[]
  readonly domainname?: string
  readonly entrypoint?: string
  readonly env?: string[]
  readonly envFile?: string[]
  readonly expose?: string[]
  readonly groupAdd?: string[]
  readonly hostname?: string
  readonly init?: true
  readonly interactive?: true
  readonly ip?: string
  readonly ipc?: string
  readonly label?: string[]
  readonly labelFile?: string[]
  readonly logDriver?: string
  readonly logOpt?: string[]
  readonly memory?: string
  readonly memoryReservation?: string
  readonly memorySwap?: string
  readonly mount?: string[]
  readonly name?: string
  readonly network?: string[]
  readonly networkAlias?: string[]
  readonly oomScoreAdj?: string
  readonly pid?: string
  readonly pidsLimit?: string
  readonly privileged?: true
  readonly publish?: string[]
  readonly publishAll?: true
  readonly readOnly?: true
  readonly restart?: string
  readonly rm?: true
  readonly securityOpt?: string[]
  readonly shmSize?: string
  readonly stopSignal?: string
  readonly stopTimeout?: string
  readonly sysctl?: string[]
  readonly tmpfs?: string[]
  readonly tty?: true
  readonly ulimit?: string[]
  readonly user?: string
  readonly uts?: string
  readonly volume?: string[]
  readonly workdir?: string
}

/** What the flags mean outside of themselves: the caller's environment, folder and files. */
export interface Caller {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly folder: string
  readonly readFile: (path: string) => string
}

/** The caller as this process sees it. */
export function thisCaller(env: Caller['env']): Caller {
  return { env, folder: process.cwd(), readFile: (path) => readFileSync(path, 'utf8') }
}

/** The body of `POST /containers/create` for `run [flags] IMAGE [ARG…]`. */
export function containerBody(
  image: string,
  args: readonly string[],
  flags: RunFlags,
  caller: Caller,
): ContainerCreate {
  const volumes = (flags.volume ?? []).map((text) => parseVolume(text, caller.folder))
  const ports = (flags.publish ?? []).flatMap(parsePort)
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {}
  for (const { key, HostIp, HostPort } of ports)
    bindings[key] = [...(bindings[key] ?? []), { HostIp, HostPort }]
  const exposed = [
    ...Object.keys(bindings),
    ...(flags.expose ?? []).map((p) => (p.includes('/') ? p : `${p}/tcp`)),
  ]
  const attached = !flags.detach
  const stdin = flags.interactive === true
  return {
    ...(flags.hostname !== undefined && { Hostname: flags.hostname }),
    ...(flags.domainname !== undefined && { Domainname: flags.domainname }),
    User: flags.user ?? '',
    AttachStdin: attached && stdin,
    AttachStdout: attached,
    AttachStderr: attached,
    Tty: flags.tty === true,
    OpenStdin: stdin,
    StdinOnce: attached && stdin,
    Env: environment(flags, caller),
    Cmd: args.length > 0 ? args : null,
    Image: image,
    Volumes: Object.fromEntries(volumes.flatMap((v) => ('anonymous' in v ? [[v.anonymous, {}]] : []))),
    WorkingDir: flags.workdir ?? '',
    Entrypoint: flags.entrypoint === undefined ? null : [flags.entrypoint],
    Labels: labels(flags, caller),
    ExposedPorts: Object.fromEntries(exposed.map((key) => [key, {}])),
    ...(flags.stopSignal !== undefined && { StopSignal: flags.stopSignal }),
    ...(flags.stopTimeout !== undefined && { StopTimeout: integer(flags.stopTimeout, '--stop-timeout') }),
    HostConfig: hostConfig(flags, {
      binds: volumes.flatMap((v) => ('bind' in v ? [v.bind] : [])),
      mounts: (flags.mount ?? []).map((text) => parseMount(text, caller.folder)),
      bindings,
      securityOptions: flags.securityOpt?.map((option) => withProfile(option, caller)),
    }),
    NetworkingConfig: { EndpointsConfig: endpoints(flags) },
  }
}

interface Resolved {
  readonly binds: readonly string[]
  readonly mounts: readonly MountRequest[]
  readonly bindings: PortMap
  readonly securityOptions: readonly string[] | undefined
}

function hostConfig(flags: RunFlags, { binds, mounts, bindings, securityOptions }: Resolved): HostConfig {
  const number = (text: string | undefined, flag: string) =>
    text === undefined ? undefined : integer(text, flag)
  const size = (text: string | undefined, flag: string) =>
    text === undefined ? undefined : text === '-1' ? -1 : parseBytes(text, flag)
  return defined({
    Binds: binds,
    Mounts: mounts.length > 0 ? mounts : undefined,
    NetworkMode: flags.network?.[0] ? networkOf(flags.network[0]).name : 'default',
    PortBindings: bindings,
    PublishAllPorts: flags.publishAll === true,
    RestartPolicy: restartPolicy(flags),
    AutoRemove: flags.rm === true,
    LogConfig: { Type: flags.logDriver ?? '', Config: pairs(flags.logOpt, '--log-opt') },
    CapAdd: flags.capAdd ?? null,
    CapDrop: flags.capDrop ?? null,
    CgroupnsMode: flags.cgroupns ?? '',
    Dns: flags.dns ?? [],
    DnsOptions: flags.dnsOption ?? [],
    DnsSearch: flags.dnsSearch ?? [],
    ExtraHosts: flags.addHost ?? null,
    GroupAdd: flags.groupAdd ?? null,
    IpcMode: flags.ipc ?? '',
    PidMode: flags.pid ?? '',
    UTSMode: flags.uts ?? '',
    OomScoreAdj: number(flags.oomScoreAdj, '--oom-score-adj') ?? 0,
    Privileged: flags.privileged === true,
    ReadonlyRootfs: flags.readOnly === true,
    SecurityOpt: securityOptions ?? null,
    Tmpfs: flags.tmpfs
      ? Object.fromEntries(
          flags.tmpfs.map((t) => [
            t.split(':', 1)[0] ?? '',
            t.slice(t.split(':', 1)[0]?.length).replace(/^:/, ''),
          ]),
        )
      : undefined,
    ShmSize: size(flags.shmSize, '--shm-size'),
    Sysctls: flags.sysctl ? pairs(flags.sysctl, '--sysctl') : undefined,
    Init: flags.init,
    Memory: size(flags.memory, '--memory') ?? 0,
    MemorySwap: size(flags.memorySwap, '--memory-swap') ?? 0,
    MemoryReservation: size(flags.memoryReservation, '--memory-reservation') ?? 0,
    NanoCpus: flags.cpus === undefined ? 0 : cpus(flags.cpus),
    CpuShares: number(flags.cpuShares, '--cpu-shares') ?? 0,
    CpuPeriod: number(flags.cpuPeriod, '--cpu-period') ?? 0,
    CpuQuota: number(flags.cpuQuota, '--cpu-quota') ?? 0,
    CpusetCpus: flags.cpusetCpus ?? '',
    CpusetMems: flags.cpusetMems ?? '',
    PidsLimit: number(flags.pidsLimit, '--pids-limit') ?? 0,
    Ulimits: (flags.ulimit ?? []).map(ulimit),
    Devices: (flags.device ?? []).map(device),
  })
}

/** `seccomp=FILE`: the daemon gets the file's text, for it may not see the caller's files. */
function withProfile(option: string, caller: Caller): string {
  const path = /^seccomp[=:](.+)$/.exec(option)?.[1]
  if (path === undefined || ['unconfined', 'builtin', 'default'].includes(path)) return option
  try {
    return `seccomp=${JSON.stringify(JSON.parse(caller.readFile(resolve(caller.folder, path))))}`
  } catch (error) {
    throw new BerthError('USAGE', `Cannot read the seccomp profile "${path}"`, { cause: error })
  }
}

/** Without the keys whose value is undefined. */
function defined<T extends object>(value: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as T
}

/** `NAME` or docker's long form `name=NAME,alias=A,ip=ADDRESS`. */
function networkOf(text: string): { name: string; aliases: string[]; ip?: string } {
  if (!text.includes('=')) return { name: text, aliases: [] }
  const fields = text.split(',').map((part) => part.split('=', 2) as [string, string?])
  const of = (key: string) => fields.filter(([k]) => k === key).map(([, v]) => v ?? '')
  const ip = of('ip')[0]
  return { name: of('name')[0] ?? '', aliases: of('alias'), ...(ip !== undefined && { ip }) }
}

function endpoints(flags: RunFlags): Record<string, EndpointRequest> {
  const networks = (flags.network ?? []).map(networkOf)
  const result: Record<string, EndpointRequest> = {}
  networks.forEach(({ name, aliases, ip }, i) => {
    const Aliases = i === 0 ? [...aliases, ...(flags.networkAlias ?? [])] : aliases
    const address = ip ?? (i === 0 ? flags.ip : undefined)
    if (i === 0 && Aliases.length === 0 && address === undefined && networks.length === 1) return
    result[name] = {
      ...(Aliases.length > 0 && { Aliases }),
      ...(address !== undefined && { IPAMConfig: { IPv4Address: address } }),
    }
  })
  if (networks.length === 0 && (flags.networkAlias || flags.ip)) {
    throw new BerthError('USAGE', 'Cannot use --network-alias or --ip on the default network', {
      hint: 'make one with berth network create NAME and give --network NAME',
    })
  }
  return result
}

/** `-e NAME=VALUE`, `-e NAME` (the caller's, left out when unset) and files of such lines, which come first. */
export function environment(flags: Pick<RunFlags, 'env' | 'envFile'>, caller: Caller): string[] {
  const lines = (flags.envFile ?? []).flatMap((path) =>
    caller
      .readFile(resolve(caller.folder, path))
      .split(/\r?\n/)
      .map((line) => line.trimStart())
      .filter((line) => line !== '' && !line.startsWith('#')),
  )
  return [...lines, ...(flags.env ?? [])].flatMap((entry) => {
    if (entry.startsWith('=') || entry === '') {
      throw new BerthError('USAGE', `Cannot read "${entry}" as an environment variable`, {
        hint: 'write NAME=VALUE',
      })
    }
    if (entry.includes('=')) return [entry]
    const value = caller.env[entry]
    return value === undefined ? [] : [`${entry}=${value}`]
  })
}

function labels(flags: RunFlags, caller: Caller): Record<string, string> {
  const lines = (flags.labelFile ?? []).flatMap((path) =>
    caller
      .readFile(resolve(caller.folder, path))
      .split(/\r?\n/)
      .filter((line) => line !== '' && !line.startsWith('#')),
  )
  return pairs([...lines, ...(flags.label ?? [])], '--label')
}

/** `KEY=VALUE` entries as an object; a key alone has an empty value. */
export function pairs(entries: readonly string[] | undefined, flag: string): Record<string, string> {
  return Object.fromEntries(
    (entries ?? []).map((entry) => {
      const at = entry.indexOf('=')
      if (at === 0)
        throw new BerthError('USAGE', `Cannot read "${entry}" of ${flag}`, { hint: 'write KEY=VALUE' })
      return at < 0 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)]
    }),
  )
}

function restartPolicy(flags: RunFlags): { Name: string; MaximumRetryCount: number } {
  const [name = 'no', count] = (flags.restart ?? 'no').split(':', 2)
  if (!['no', 'always', 'on-failure', 'unless-stopped', ''].includes(name)) {
    throw new BerthError('USAGE', `Unknown restart policy "${name}"`, {
      hint: 'one of no, always, unless-stopped, on-failure or on-failure:COUNT',
    })
  }
  if (flags.rm && name !== 'no' && name !== '') {
    throw new BerthError(
      'USAGE',
      'Cannot use --restart and --rm together: one keeps the container, the other removes it',
    )
  }
  return { Name: name || 'no', MaximumRetryCount: count === undefined ? 0 : integer(count, '--restart') }
}

function ulimit(text: string): { Name: string; Soft: number; Hard: number } {
  const match = /^(\w+)=(-?\d+)(?::(-?\d+))?$/.exec(text)
  if (!match?.[1])
    throw new BerthError('USAGE', `Cannot read "${text}" of --ulimit`, {
      hint: 'write NAME=SOFT or NAME=SOFT:HARD',
    })
  return { Name: match[1], Soft: Number(match[2]), Hard: Number(match[3] ?? match[2]) }
}

function device(text: string): { PathOnHost: string; PathInContainer: string; CgroupPermissions: string } {
  const [host = '', second, third] = text.split(':')
  const isMode = (part: string | undefined) => part !== undefined && /^[rwm]+$/.test(part)
  const inside = second === undefined || isMode(second) ? host : second
  return {
    PathOnHost: host,
    PathInContainer: inside,
    CgroupPermissions: third ?? (isMode(second) ? (second ?? '') : 'rwm'),
  }
}

/** `1.5` CPUs as billionths of a CPU. */
function cpus(text: string): number {
  if (!/^\d*\.?\d+$/.test(text))
    throw new BerthError('USAGE', `Cannot read "${text}" of --cpus as a number of CPUs`)
  return Math.round(Number(text) * 1e9)
}

/** A whole number; anything else is a wrong command line. */
export function integer(text: string, flag: string): number {
  if (!/^-?\d+$/.test(text))
    throw new BerthError('USAGE', `Cannot read "${text}" of ${flag} as a whole number`)
  return Number(text)
}
