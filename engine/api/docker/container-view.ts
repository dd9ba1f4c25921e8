import { humanDuration } from '../../client/docker/human.ts'
import type {
  ContainerSummary,
  EndpointSettings,
  HostConfig,
  MountSummary,
  PortMap,
  PortSummary,
} from '../../client/docker/types.ts'
import type { ContainerRecord, ContainerSettings, MountPoint } from '../../container/container.ts'

/** Go's zero time: docker's word for "never". */
const never = '0001-01-01T00:00:00Z'

/** Docker's lists, shown when a container has not its own. */
const maskedPaths =
  '/proc/asound /proc/acpi /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap'.split(
    ' ',
  )
const readonlyPaths = '/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger'.split(' ')

/** Id of a network by its name; empty when it is gone. */
export type NetworkIds = (name: string) => string

const timeText = (ms: number | undefined) => (ms === undefined ? never : new Date(ms).toISOString())

/** `Up 2 minutes`, `Exited (1) 3 seconds ago`: the words of `docker ps`. */
function statusText({ state }: ContainerRecord, now: number): string {
  const ago = (ms: number | undefined) => humanDuration(Math.max(0, now - (ms ?? now)))
  if (state.status === 'running') return `Up ${ago(state.startedAt)}`
  if (state.status === 'paused') return `Up ${ago(state.startedAt)} (Paused)`
  if (state.status === 'restarting') return `Restarting (${state.exitCode}) ${ago(state.finishedAt)} ago`
  if (state.status === 'removing') return 'Removal In Progress'
  if (state.status === 'dead') return 'Dead'
  if (state.startedAt === undefined) return 'Created'
  return `Exited (${state.exitCode}) ${ago(state.finishedAt)} ago`
}

/** The command as a list shows it: docker puts quotes around arguments with spaces, and around nothing else. */
export function commandText([path = '', ...args]: readonly string[]): string {
  return [path, ...args.map((arg) => (arg.includes(' ') ? `'${arg}'` : arg))].join(' ')
}

/** One row of `GET /containers/json`. */
export function containerSummary(
  record: ContainerRecord,
  { now, networkIds, imageName }: { now: number; networkIds: NetworkIds; imageName: string },
): ContainerSummary {
  return {
    Id: record.id,
    Names: [`/${record.settings.name}`],
    Image: imageName,
    ImageID: record.imageId,
    Command: commandText([...record.process.entrypoint, ...record.process.cmd]),
    Created: Math.floor(record.created / 1000),
    Ports: portSummaries(record),
    Labels: record.process.labels,
    State: record.state.status,
    Status: statusText(record, now),
    HostConfig: { NetworkMode: networkModeText(record.settings) },
    NetworkSettings: { Networks: networksOf(record, networkIds) },
    Mounts: record.mounts.filter((m) => m.kind !== 'tmpfs').map(mountSummary),
  }
}

const networkModeText = ({ networkMode }: ContainerSettings) =>
  networkMode === 'bridge' ? 'default' : networkMode

function portSummaries({ ports, process, state }: ContainerRecord): PortSummary[] {
  if (state.status !== 'running' && state.status !== 'paused') return []
  const bound = ports.map((p) => ({
    IP: p.hostIp === '' ? '0.0.0.0' : p.hostIp,
    PrivatePort: p.containerPort,
    PublicPort: p.hostPort,
    Type: p.protocol,
  }))
  const exposed = process.exposedPorts
    .map((key) => key.split('/'))
    .map(([port, type = 'tcp']) => ({ PrivatePort: Number(port), Type: type }))
    .filter((e) => !bound.some((b) => b.PrivatePort === e.PrivatePort && b.Type === e.Type))
  return [...bound, ...exposed]
}

/** The networks that it is on, and those that it will join at the next start. */
function networksOf(
  { settings, networks, id }: ContainerRecord,
  ids: NetworkIds,
): Record<string, EndpointSettings> {
  const names = new Set([...settings.networks.map((n) => n.name), ...Object.keys(networks)])
  if (!settings.networkMode.startsWith('container:')) names.add(settings.networkMode)
  return Object.fromEntries(
    [...names].map((name) => {
      const endpoint = networks[name]
      const asked = settings.networks.find((n) => n.name === name)
      const aliases =
        name === 'bridge' || name === 'host' || name === 'none'
          ? null
          : [...(asked?.aliases ?? []), id.slice(0, 12)]
      return [
        name,
        {
          IPAMConfig: asked?.address === undefined ? null : { IPv4Address: asked.address },
          Links: null,
          Aliases: aliases,
          NetworkID: ids(name),
          EndpointID: endpoint?.endpointId ?? '',
          Gateway: endpoint?.gateway ?? '',
          IPAddress: endpoint?.address ?? '',
          IPPrefixLen: endpoint?.prefixLength ?? 0,
          IPv6Gateway: '',
          GlobalIPv6Address: '',
          GlobalIPv6PrefixLen: 0,
          MacAddress: endpoint?.mac ?? '',
          DriverOpts: null,
          DNSNames: aliases && [settings.name, ...aliases],
        },
      ]
    }),
  )
}

function mountSummary(mount: MountPoint): MountSummary {
  return {
    Type: mount.kind,
    ...(mount.name !== undefined && { Name: mount.name, Driver: 'local' }),
    Source: mount.kind === 'tmpfs' ? '' : mount.source,
    Destination: mount.target,
    Mode: mount.setting.readOnly ? 'ro' : mount.kind === 'volume' ? 'z' : '',
    RW: !mount.readOnly,
    Propagation: mount.setting.propagation ?? (mount.kind === 'bind' ? 'rprivate' : ''),
  }
}

/** `GET /containers/ID/json`. `folder` holds the files that berth binds into it (resolv.conf, hosts, hostname). */
export function containerDetails(
  record: ContainerRecord,
  { networkIds, folder, execIds }: { networkIds: NetworkIds; folder: string; execIds: readonly string[] },
): object {
  const { state, settings, process } = record
  const [path = '', ...args] = [...process.entrypoint, ...process.cmd]
  const networks = networksOf(record, networkIds)
  const main = networks[settings.networkMode]
  return {
    Id: record.id,
    Created: timeText(record.created),
    Path: path,
    Args: args,
    State: {
      Status: state.status,
      Running: state.status === 'running' || state.status === 'paused',
      Paused: state.status === 'paused',
      Restarting: state.status === 'restarting',
      OOMKilled: state.oomKilled,
      Dead: state.status === 'dead',
      Pid: state.pid,
      ExitCode: state.exitCode,
      Error: state.error,
      StartedAt: timeText(state.startedAt),
      FinishedAt: timeText(state.finishedAt),
    },
    Image: record.imageId,
    ResolvConfPath: `${folder}/resolv.conf`,
    HostnamePath: `${folder}/hostname`,
    HostsPath: `${folder}/hosts`,
    LogPath: record.logPath,
    Name: `/${settings.name}`,
    RestartCount: state.restartCount,
    Driver: 'overlay2',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: execIds.length > 0 ? execIds : null,
    HostConfig: hostConfigOf(record),
    GraphDriver: { Data: null, Name: 'overlay2' },
    Mounts: record.mounts.map(mountSummary),
    Config: {
      Hostname: record.hostname,
      Domainname: settings.domainname ?? '',
      User: process.user,
      AttachStdin: settings.stdin && settings.stdinOnce,
      AttachStdout: settings.stdinOnce,
      AttachStderr: settings.stdinOnce,
      ...(process.exposedPorts.length > 0 && {
        ExposedPorts: Object.fromEntries(process.exposedPorts.map((p) => [p, {}])),
      }),
      Tty: settings.terminal,
      OpenStdin: settings.stdin,
      StdinOnce: settings.stdinOnce,
      Env: process.env,
      Cmd: process.cmd.length > 0 ? process.cmd : null,
      Image: settings.image,
      Volumes: volumesOf(record),
      WorkingDir: process.workingDir === '/' && settings.workingDir === undefined ? '' : process.workingDir,
      Entrypoint: process.entrypoint.length > 0 ? process.entrypoint : null,
      OnBuild: null,
      Labels: process.labels,
      ...(settings.stopSignal !== undefined && { StopSignal: settings.stopSignal }),
      ...(settings.stopTimeoutSeconds !== undefined && { StopTimeout: settings.stopTimeoutSeconds }),
    },
    NetworkSettings: {
      Bridge: '',
      SandboxID: state.pid > 0 ? record.id : '',
      SandboxKey: '',
      Ports: boundPorts(record),
      HairpinMode: false,
      LinkLocalIPv6Address: '',
      LinkLocalIPv6PrefixLen: 0,
      SecondaryIPAddresses: null,
      SecondaryIPv6Addresses: null,
      EndpointID: main?.EndpointID ?? '',
      Gateway: main?.Gateway ?? '',
      GlobalIPv6Address: '',
      GlobalIPv6PrefixLen: 0,
      IPAddress: main?.IPAddress ?? '',
      IPPrefixLen: main?.IPPrefixLen ?? 0,
      IPv6Gateway: '',
      MacAddress: main?.MacAddress ?? '',
      Networks: networks,
    },
  }
}

function volumesOf({ mounts }: ContainerRecord): Record<string, object> | null {
  const anonymous = mounts.filter((m) => m.anonymous)
  return anonymous.length === 0 ? null : Object.fromEntries(anonymous.map((m) => [m.target, {}]))
}

function boundPorts(record: ContainerRecord): PortMap {
  const map: Record<string, { HostIp: string; HostPort: string }[] | null> = {}
  if (record.state.status !== 'running' && record.state.status !== 'paused') return map
  for (const key of record.process.exposedPorts) map[key] = null
  for (const port of record.ports) {
    const key = `${port.containerPort}/${port.protocol}`
    const entry = { HostIp: port.hostIp === '' ? '0.0.0.0' : port.hostIp, HostPort: String(port.hostPort) }
    map[key] = [...(map[key] ?? []), entry]
  }
  return map
}

/** The machine's part of the settings, back in docker's shape. */
function hostConfigOf({ settings, mounts }: ContainerRecord): HostConfig & Record<string, unknown> {
  const { resources, capabilities, dns } = settings
  const listOrNull = (list: readonly string[] | undefined) => (list && list.length > 0 ? list : null)
  const binds = mounts
    .filter((m) => m.kind !== 'tmpfs' && !m.anonymous)
    .map((m) => `${m.name ?? m.source}:${m.target}${m.setting.readOnly ? ':ro' : ''}`)
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {}
  for (const port of settings.ports) {
    const key = `${port.containerPort}/${port.protocol}`
    const entry = { HostIp: port.hostIp, HostPort: port.hostPort === 0 ? '' : String(port.hostPort) }
    bindings[key] = [...(bindings[key] ?? []), entry]
  }
  const log = settings.log
  return {
    Binds: listOrNull(binds),
    ContainerIDFile: '',
    LogConfig: {
      Type: log?.none ? 'none' : 'json-file',
      Config:
        log && !log.none ? { 'max-size': String(log.maxSizeBytes), 'max-file': String(log.maxFiles) } : {},
    },
    NetworkMode: networkModeText(settings),
    PortBindings: bindings,
    RestartPolicy: { Name: settings.restart.name, MaximumRetryCount: settings.restart.maximumRetryCount },
    AutoRemove: settings.autoRemove,
    VolumeDriver: '',
    VolumesFrom: null,
    CapAdd: listOrNull(capabilities?.add),
    CapDrop: listOrNull(capabilities?.drop),
    CgroupnsMode: settings.cgroupnsMode ?? 'private',
    Dns: dns?.servers ?? [],
    DnsOptions: dns?.options ?? [],
    DnsSearch: dns?.search ?? [],
    ExtraHosts: listOrNull(settings.extraHosts),
    GroupAdd: listOrNull(settings.groupAdd),
    IpcMode: settings.ipcMode ?? 'private',
    Cgroup: '',
    Links: null,
    OomScoreAdj: settings.oomScoreAdj ?? 0,
    PidMode: settings.pidMode ?? '',
    Privileged: settings.privileged ?? false,
    PublishAllPorts: false,
    ReadonlyRootfs: settings.readOnlyRootfs ?? false,
    SecurityOpt: securityTexts(settings),
    ...(mounts.some((m) => m.kind === 'tmpfs') && {
      Tmpfs: Object.fromEntries(
        mounts.filter((m) => m.kind === 'tmpfs').map((m) => [m.target, (m.setting.options ?? []).join(',')]),
      ),
    }),
    UTSMode: settings.utsMode ?? '',
    UsernsMode: '',
    ShmSize: settings.shmSizeBytes ?? 64 << 20,
    ...(settings.sysctls && { Sysctls: settings.sysctls }),
    Runtime: 'berth',
    Isolation: '',
    CpuShares: resources.cpuShares ?? 0,
    Memory: resources.memoryBytes ?? 0,
    NanoCpus: resources.nanoCpus ?? 0,
    CgroupParent: settings.cgroupParent ?? '',
    BlkioWeight: resources.blkioWeight ?? 0,
    BlkioWeightDevice: [],
    BlkioDeviceReadBps: [],
    BlkioDeviceWriteBps: [],
    BlkioDeviceReadIOps: [],
    BlkioDeviceWriteIOps: [],
    CpuPeriod: resources.cpuPeriod ?? 0,
    CpuQuota: resources.cpuQuota ?? 0,
    CpuRealtimePeriod: 0,
    CpuRealtimeRuntime: 0,
    CpusetCpus: resources.cpusetCpus ?? '',
    CpusetMems: resources.cpusetMems ?? '',
    Devices: (settings.devices ?? []).map((d) => ({
      PathOnHost: d.hostPath,
      PathInContainer: d.containerPath,
      CgroupPermissions: d.permissions,
    })),
    DeviceCgroupRules: null,
    DeviceRequests: null,
    MemoryReservation: resources.memoryReservationBytes ?? 0,
    MemorySwap: resources.memorySwapBytes ?? (resources.memoryBytes ?? 0) * 2,
    MemorySwappiness: null,
    OomKillDisable: null,
    PidsLimit: resources.pidsLimit ?? null,
    Ulimits: (settings.ulimits ?? []).map((u) => ({ Name: u.name, Soft: u.soft, Hard: u.hard })),
    ...(settings.init && { Init: true }),
    MaskedPaths: settings.privileged ? null : (settings.maskedPaths ?? maskedPaths),
    ReadonlyPaths: settings.privileged ? null : (settings.readonlyPaths ?? readonlyPaths),
  }
}

function securityTexts(settings: ContainerSettings): string[] | null {
  const texts = [
    ...(settings.noNewPrivileges ? ['no-new-privileges'] : []),
    ...(settings.seccomp === 'unconfined' ? ['seccomp=unconfined'] : []),
  ]
  return texts.length > 0 ? texts : null
}
