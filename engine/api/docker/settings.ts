import { BerthError } from '../../base/error.ts'
import { suggest } from '../../base/suggest.ts'
import type { ContainerCreate, HostConfig } from '../../client/docker/types.ts'
import type {
  ContainerSettings,
  LogSettings,
  NetworkSetting,
  PortSetting,
  ResourceSettings,
  RestartPolicy,
} from '../../container/container.ts'
import { mountSettings } from './mounts.ts'

const restartNames = ['no', 'always', 'on-failure', 'unless-stopped'] as const

/**
 * What docker's `POST /containers/create` asks for, in berth's nouns. Whatever berth cannot do is refused by name;
 * nothing is dropped in silence.
 */
export function containerSettings(
  name: string,
  body: Partial<ContainerCreate>,
  defaultLog: LogSettings,
): ContainerSettings {
  const host = body.HostConfig ?? {}
  if (!body.Image) throw new BerthError('INVALID', 'Config cannot be empty in order to create a container')
  if (name !== '' && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
    throw new BerthError(
      'INVALID',
      `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    )
  }
  refuse(host)
  const security = securityOptions(host.SecurityOpt ?? [])
  return defined<ContainerSettings>({
    name,
    image: body.Image,
    labels: body.Labels ?? {},
    entrypoint: body.Entrypoint ?? undefined,
    cmd: body.Cmd ?? undefined,
    env: body.Env ?? [],
    workingDir: body.WorkingDir || undefined,
    user: body.User || undefined,
    groupAdd: host.GroupAdd ?? undefined,
    hostname: body.Hostname || undefined,
    domainname: body.Domainname || undefined,
    terminal: body.Tty === true,
    stdin: body.OpenStdin === true,
    stdinOnce: body.StdinOnce === true,
    mounts: mountSettings(body),
    networkMode: networkMode(host),
    networks: networks(body),
    ports: ports(body),
    dns: { servers: host.Dns ?? [], search: host.DnsSearch ?? [], options: host.DnsOptions ?? [] },
    extraHosts: host.ExtraHosts ?? [],
    resources: resources(host),
    capabilities: { add: host.CapAdd ?? [], drop: host.CapDrop ?? [] },
    privileged: host.Privileged === true,
    noNewPrivileges: security.noNewPrivileges,
    readOnlyRootfs: host.ReadonlyRootfs === true,
    seccomp: security.seccomp,
    maskedPaths: host.MaskedPaths ?? (security.unmasked ? [] : undefined),
    readonlyPaths: host.ReadonlyPaths ?? (security.unmasked ? [] : undefined),
    sysctls: host.Sysctls ?? undefined,
    ulimits: host.Ulimits?.map((u) => ({ name: u.Name, soft: u.Soft, hard: u.Hard })),
    devices: host.Devices?.map((d) => ({
      hostPath: d.PathOnHost,
      containerPath: d.PathInContainer,
      permissions: d.CgroupPermissions,
    })),
    shmSizeBytes: host.ShmSize || undefined,
    pidMode: host.PidMode || undefined,
    ipcMode: host.IpcMode || undefined,
    utsMode: host.UTSMode || undefined,
    cgroupnsMode:
      host.CgroupnsMode === 'host' || host.CgroupnsMode === 'private' ? host.CgroupnsMode : undefined,
    oomScoreAdj: host.OomScoreAdj || undefined,
    init: host.Init === true,
    restart: restartPolicy(host),
    autoRemove: host.AutoRemove === true,
    stopSignal: body.StopSignal || undefined,
    stopTimeoutSeconds: body.StopTimeout,
    log: logSettings(host, defaultLog),
  })
}

/** Without the keys whose value is undefined. */
function defined<T extends object>(value: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as T
}

function refuse(host: HostConfig): void {
  const wants: readonly [boolean, string][] = [
    [(host.VolumesFrom?.length ?? 0) > 0, '--volumes-from'],
    [(host.Links?.length ?? 0) > 0, '--link'],
  ]
  const found = wants.find(([asked]) => asked)
  if (found) {
    throw new BerthError('UNSUPPORTED', `Cannot create the container: ${found[1]} is not there yet`, {
      hint: 'name the volumes with -v, and let containers find each other by name on a network',
    })
  }
}

function restartPolicy({ RestartPolicy, AutoRemove }: HostConfig): RestartPolicy {
  const asked = RestartPolicy?.Name || 'no'
  const name = restartNames.find((known) => known === asked)
  if (!name) {
    const near = suggest(asked, restartNames)
    throw new BerthError(
      'INVALID',
      `invalid restart policy '${asked}'`,
      near ? { hint: `did you mean "${near}"?` } : {},
    )
  }
  if (AutoRemove && name !== 'no') {
    throw new BerthError('INVALID', "can't create 'AutoRemove' container with restart policy")
  }
  return { name, maximumRetryCount: RestartPolicy?.MaximumRetryCount ?? 0 }
}

function networkMode({ NetworkMode }: HostConfig): string {
  return NetworkMode === undefined || NetworkMode === '' || NetworkMode === 'default' ? 'bridge' : NetworkMode
}

function networks(body: Partial<ContainerCreate>): NetworkSetting[] {
  return Object.entries(body.NetworkingConfig?.EndpointsConfig ?? {}).map(([name, endpoint]) => ({
    name: name === 'default' ? 'bridge' : name,
    aliases: endpoint?.Aliases ?? [],
    ...(endpoint?.IPAMConfig?.IPv4Address && { address: endpoint.IPAMConfig.IPv4Address }),
  }))
}

/** The body as it is with the ports that its image exposes: `PublishAllPorts` is for these too. */
export function withImagePorts(
  body: Partial<ContainerCreate>,
  image: Readonly<Record<string, unknown>> | undefined,
): Partial<ContainerCreate> {
  const exposed = image?.ExposedPorts
  if (!body.HostConfig?.PublishAllPorts || typeof exposed !== 'object') return body
  return { ...body, ExposedPorts: { ...exposed, ...body.ExposedPorts } }
}

function ports({ HostConfig, ExposedPorts }: Partial<ContainerCreate>): PortSetting[] {
  const bound = Object.entries(HostConfig?.PortBindings ?? {}).flatMap(([key, bindings]) =>
    (bindings && bindings.length > 0 ? bindings : [{ HostIp: '', HostPort: '' }]).map((binding) => ({
      ...portKey(key),
      hostIp: binding.HostIp ?? '',
      hostPort: hostPort(binding.HostPort ?? ''),
    })),
  )
  if (!HostConfig?.PublishAllPorts) return bound
  const others = Object.keys(ExposedPorts ?? {}).filter((key) => !HostConfig.PortBindings?.[key])
  return [...bound, ...others.map((key) => ({ ...portKey(key), hostIp: '', hostPort: 0 }))]
}

function portKey(key: string): { containerPort: number; protocol: PortSetting['protocol'] } {
  const [number = '', protocol = 'tcp'] = key.split('/')
  const containerPort = Number(number)
  const isPort = Number.isInteger(containerPort) && containerPort > 0 && containerPort < 65_536
  if (!isPort || (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp')) {
    throw new BerthError('INVALID', `invalid port specification: "${key}"`)
  }
  return { containerPort, protocol }
}

function hostPort(text: string): number {
  // A range stands for any of its ports: berth draws a free one.
  if (text === '' || /^\d+-\d+$/.test(text)) return 0
  const port = Number(text)
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new BerthError('INVALID', `invalid port specification: "${text}"`)
  }
  return port
}

function resources(host: HostConfig): ResourceSettings {
  if (host.NanoCpus && (host.CpuPeriod || host.CpuQuota)) {
    throw new BerthError('INVALID', 'Conflicting options: Nano CPUs and CPU Period cannot both be set.')
  }
  if (host.Memory && host.Memory > 0 && host.Memory < 6 << 20) {
    throw new BerthError('INVALID', 'Minimum memory limit allowed is 6MB')
  }
  return defined<ResourceSettings>({
    memoryBytes: host.Memory || undefined,
    memorySwapBytes: host.MemorySwap || undefined,
    memoryReservationBytes: host.MemoryReservation || undefined,
    cpuQuota: host.CpuQuota || undefined,
    cpuPeriod: host.CpuPeriod || undefined,
    cpuShares: host.CpuShares || undefined,
    nanoCpus: host.NanoCpus || undefined,
    pidsLimit: host.PidsLimit || undefined,
    cpusetCpus: host.CpusetCpus || undefined,
    cpusetMems: host.CpusetMems || undefined,
    blkioWeight: host.BlkioWeight || undefined,
  })
}

interface Security {
  readonly noNewPrivileges: boolean
  readonly seccomp: 'default' | 'unconfined' | object
  /** `systempaths=unconfined`. */
  readonly unmasked: boolean
}

function securityOptions(options: readonly string[]): Security {
  let result: Security = { noNewPrivileges: false, seccomp: 'default', unmasked: false }
  for (const option of options) {
    const [, key = option, value = ''] = /^([\w-]+)[=:]([\s\S]*)$/.exec(option) ?? []
    if (key === 'no-new-privileges') result = { ...result, noNewPrivileges: value !== 'false' }
    else if (key === 'seccomp') result = { ...result, seccomp: seccompProfile(value) }
    else if (key === 'systempaths' && value === 'unconfined') result = { ...result, unmasked: true }
    else if (!(key === 'apparmor' && value === 'unconfined') && !(key === 'label' && value === 'disable')) {
      throw new BerthError('INVALID', `invalid --security-opt 2: "${option}"`)
    }
  }
  return result
}

function seccompProfile(value: string): Security['seccomp'] {
  if (value === 'unconfined') return 'unconfined'
  if (value === 'builtin' || value === '') return 'default'
  try {
    const profile: unknown = JSON.parse(value)
    if (profile !== null && typeof profile === 'object') return profile
  } catch (error) {
    throw new BerthError('INVALID', 'Cannot read the seccomp profile as JSON', { cause: error })
  }
  throw new BerthError('INVALID', 'The seccomp profile should be a JSON object')
}

function logSettings({ LogConfig }: HostConfig, defaultLog: LogSettings): LogSettings {
  const { Type = '', Config } = LogConfig ?? {}
  if (Type === 'none') return { ...defaultLog, none: true }
  if (!['', 'json-file', 'local'].includes(Type)) {
    throw new BerthError('UNSUPPORTED', `logger: no log driver named '${Type}' is registered`, {
      hint: 'berth keeps logs itself: leave out --log-driver, or give none',
    })
  }
  const size = /^(\d+)([kmg]?)b?$/i.exec(Config?.['max-size'] ?? '')
  const files = Number(Config?.['max-file'] ?? defaultLog.maxFiles)
  if (!Number.isInteger(files) || files < 1)
    throw new BerthError('INVALID', 'max-file should be a number of at least 1')
  const unit = { '': 1, k: 1 << 10, m: 1 << 20, g: 1 << 30 }[size?.[2]?.toLowerCase() ?? ''] ?? 1
  return { maxSizeBytes: size ? Number(size[1]) * unit : defaultLog.maxSizeBytes, maxFiles: files }
}
