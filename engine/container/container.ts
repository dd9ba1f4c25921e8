/** The nouns of the container engine: what is asked for, what is kept, what is told. Plain data, readonly. */
export type ContainerStatus = 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead'

/** What `create` is given. Immutable afterwards, but for the name (rename) and the restart policy (update). */
export interface ContainerSettings {
  /** Without a leading slash. Empty: one is drawn. */
  readonly name: string
  /** The image as it was asked for. */
  readonly image: string
  /** The image's configuration digest, when the caller has resolved it already. */
  readonly imageId?: string
  readonly labels: Readonly<Record<string, string>>
  /** As asked; what is absent comes from the image. `['']` clears the image's entrypoint. */
  readonly entrypoint?: readonly string[]
  readonly cmd?: readonly string[]
  readonly env: readonly string[]
  readonly workingDir?: string
  readonly user?: string
  readonly groupAdd?: readonly string[]
  readonly hostname?: string
  readonly domainname?: string
  readonly terminal: boolean
  readonly stdin: boolean
  readonly stdinOnce: boolean
  readonly mounts: readonly MountSetting[]
  /** `none`, `host`, `bridge` (the default network), a network's name, or `container:REF`. */
  readonly networkMode: string
  /** Networks to join; the one of `networkMode` is added when it is missing. */
  readonly networks: readonly NetworkSetting[]
  readonly ports: readonly PortSetting[]
  readonly dns?: {
    readonly servers: readonly string[]
    readonly search: readonly string[]
    readonly options: readonly string[]
  }
  /** `NAME:ADDRESS`; the address `host-gateway` is the default network's gateway. */
  readonly extraHosts?: readonly string[]
  readonly resources: ResourceSettings
  readonly capabilities?: { readonly add: readonly string[]; readonly drop: readonly string[] }
  readonly privileged?: boolean
  readonly noNewPrivileges?: boolean
  readonly readOnlyRootfs?: boolean
  /** `default`, `unconfined`, or a profile in docker's form. */
  readonly seccomp?: 'default' | 'unconfined' | object
  /** Replace docker's lists; an empty list masks nothing. */
  readonly maskedPaths?: readonly string[]
  readonly readonlyPaths?: readonly string[]
  readonly sysctls?: Readonly<Record<string, string>>
  readonly ulimits?: readonly UlimitSetting[]
  readonly devices?: readonly DeviceSetting[]
  readonly shmSizeBytes?: number
  /** `private` (or empty), `host`, `container:REF`, or `sandbox`: the one that a pod's containers share. */
  readonly pidMode?: string
  readonly ipcMode?: string
  readonly utsMode?: string
  readonly cgroupnsMode?: 'private' | 'host'
  readonly oomScoreAdj?: number
  readonly init?: boolean
  readonly restart: RestartPolicy
  readonly autoRemove: boolean
  /** Name or number; absent: the image's, else SIGTERM. */
  readonly stopSignal?: string
  readonly stopTimeoutSeconds?: number
  readonly log?: LogSettings
  /** A pod's sandbox to live in: networks, ports, host name and namespaces are the sandbox's. */
  readonly sandbox?: string
  /** Folder of the cgroup below berth's own, such as `POD`; absent: berth's own folder. */
  readonly cgroupParent?: string
}

export interface MountSetting {
  readonly kind: 'bind' | 'volume' | 'tmpfs'
  /** bind: absolute host path; volume: its name, absent for an anonymous one. */
  readonly source?: string
  readonly target: string
  readonly readOnly: boolean
  readonly propagation?: 'private' | 'rprivate' | 'slave' | 'rslave' | 'shared' | 'rshared'
  /** tmpfs only. */
  readonly sizeBytes?: number
  readonly mode?: number
  /** Further options of a tmpfs, such as `uid=0,noexec`. */
  readonly options?: readonly string[]
  /** A path inside the source: links in it lead nowhere else. */
  readonly subPath?: string
  /** volume: do not fill an empty volume with the image's files. */
  readonly noCopy?: boolean
  /** Make the missing source, or its `subPath`, as a folder (`-v`); absent: a missing one is an error (`--mount`). */
  readonly createSource?: boolean
}

export interface NetworkSetting {
  readonly name: string
  readonly aliases: readonly string[]
  readonly address?: string
}

export interface PortSetting {
  /** Empty: all addresses. */
  readonly hostIp: string
  /** 0: any free port. */
  readonly hostPort: number
  readonly containerPort: number
  readonly protocol: 'tcp' | 'udp' | 'sctp'
}

export interface ResourceSettings {
  readonly memoryBytes?: number
  /** Memory and swap together; -1: unlimited. */
  readonly memorySwapBytes?: number
  readonly memoryReservationBytes?: number
  readonly cpuQuota?: number
  readonly cpuPeriod?: number
  readonly cpuShares?: number
  /** CPUs × 10⁹ (`--cpus`); excludes quota and period. */
  readonly nanoCpus?: number
  /** 0 and -1: unlimited. */
  readonly pidsLimit?: number
  readonly cpusetCpus?: string
  readonly cpusetMems?: string
  readonly blkioWeight?: number
}

export interface UlimitSetting {
  /** `nofile`, without RLIMIT_. */
  readonly name: string
  readonly soft: number
  readonly hard: number
}

export interface DeviceSetting {
  readonly hostPath: string
  readonly containerPath: string
  /** A subset of `rwm`. */
  readonly permissions: string
}

export interface RestartPolicy {
  readonly name: 'no' | 'always' | 'on-failure' | 'unless-stopped'
  /** on-failure only; 0: without limit. */
  readonly maximumRetryCount: number
}

export interface LogSettings {
  /** Absent: `containers/ID/ID.log` in the root folder. */
  readonly path?: string
  readonly maxSizeBytes: number
  readonly maxFiles: number
  /** Keep nothing (`--log-driver none`). */
  readonly none?: boolean
}

/** Settings and image joined by docker's rules: what runs, whatever becomes of the image's names. */
export interface ResolvedProcess {
  readonly entrypoint: readonly string[]
  readonly cmd: readonly string[]
  readonly env: readonly string[]
  readonly workingDir: string
  readonly user: string
  readonly labels: Readonly<Record<string, string>>
  readonly stopSignal: string
  readonly exposedPorts: readonly string[]
}

export interface ContainerState {
  readonly status: ContainerStatus
  /** 0 unless running or paused. */
  readonly pid: number
  readonly startedAt?: number
  readonly finishedAt?: number
  readonly exitCode: number
  readonly error: string
  readonly oomKilled: boolean
  readonly restartCount: number
}

export interface EndpointRecord {
  readonly endpointId: string
  /** In the container: `eth0`. */
  readonly interfaceName: string
  readonly address: string
  readonly prefixLength: number
  readonly gateway: string
  readonly mac: string
  readonly aliases: readonly string[]
}

/** A mount as it was resolved at creation: a volume has its name and the folder behind it. */
export interface MountPoint {
  readonly kind: MountSetting['kind']
  /** The volume's name; absent for bind and tmpfs. */
  readonly name?: string
  readonly source: string
  readonly target: string
  readonly readOnly: boolean
  /** Made for this container and removed with it (`rm -v`, `--rm`). */
  readonly anonymous: boolean
  readonly setting: MountSetting
}

/** Everything that is kept of a container. One record is one write, so a record is always whole. */
export interface ContainerRecord {
  readonly id: string
  /** Milliseconds since 1970. */
  readonly created: number
  readonly settings: ContainerSettings
  readonly imageId: string
  readonly process: ResolvedProcess
  readonly mounts: readonly MountPoint[]
  readonly hostname: string
  readonly logPath: string
  readonly state: ContainerState
  /** By network name; only while it runs. */
  readonly networks: Readonly<Record<string, EndpointRecord>>
  /** As bound; only while it runs. */
  readonly ports: readonly PortSetting[]
  /** The engine's own progress; no meaning outside. */
  readonly progress: Progress
}

/**
 * How far the engine came, written before each effect that must be undone:
 * `making` (create is at work) → `idle` ⇄ `starting` → `up` → `idle` … ; `removing` is the state's status.
 */
export interface Progress {
  readonly step: 'making' | 'idle' | 'starting' | 'up'
  /** Counts starts; names the folder of the run's state, so that an old exit is never read as a new one. */
  readonly run: number
  /** A person stopped it: the restart policy rests until the next start. */
  readonly stopped: boolean
  /** Restarts in a row without ten seconds of running, for the back-off. */
  readonly failures: number
  /** A removal takes the anonymous volumes too, also when it is finished after a crash. */
  readonly removeVolumes?: boolean
}

export type ContainerAction =
  | 'create'
  | 'start'
  | 'die'
  | 'oom'
  | 'kill'
  | 'stop'
  | 'restart'
  | 'destroy'
  | 'rename'
  | 'attach'
  | 'exec_create'
  | 'exec_start'
  | 'exec_die'
  | 'resize'

export interface ContainerEvent {
  readonly type: 'container'
  readonly action: ContainerAction
  readonly id: string
  readonly attributes: Readonly<Record<string, string>>
  /** Milliseconds since 1970. */
  readonly time: number
}

export type WaitCondition = 'not-running' | 'next-exit' | 'removed'

export interface ExecSettings {
  readonly argv: readonly string[]
  readonly env?: readonly string[]
  readonly workingDir?: string
  readonly user?: string
  readonly terminal: boolean
  readonly stdin: boolean
  readonly privileged?: boolean
}

export interface AttachOptions {
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
}

export interface LogOptions {
  readonly stdout: boolean
  readonly stderr: boolean
  /** Milliseconds since 1970; fractions are kept to the nanosecond of the log. */
  readonly since?: number
  readonly until?: number
  /** Last lines; absent: all. */
  readonly tail?: number
  readonly follow?: boolean
}

export interface LogLine {
  readonly stream: 'stdout' | 'stderr'
  /** As in the log: RFC 3339 with nanoseconds. */
  readonly time: string
  /** With its newline, unless the line was cut or ended without one. */
  readonly content: Uint8Array
}

export interface ContainerStats {
  readonly time: number
  readonly pids: number
  readonly pidsLimit: number
  readonly cpu: {
    readonly totalNs: number
    readonly userNs: number
    readonly systemNs: number
    readonly throttledPeriods: number
    readonly periods: number
    readonly throttledNs: number
  }
  readonly memory: {
    readonly usageBytes: number
    readonly limitBytes: number
    readonly cacheBytes: number
    readonly stats: Readonly<Record<string, number>>
  }
  readonly blkio: readonly {
    readonly major: number
    readonly minor: number
    readonly op: string
    readonly value: number
  }[]
  readonly networks: Readonly<
    Record<
      string,
      {
        readonly rxBytes: number
        readonly rxPackets: number
        readonly rxErrors: number
        readonly rxDropped: number
        readonly txBytes: number
        readonly txPackets: number
        readonly txErrors: number
        readonly txDropped: number
      }
    >
  >
}

/** The process table of a container: titles and one row a process, as `docker top` shows them. */
export interface ProcessTable {
  readonly titles: readonly string[]
  readonly rows: readonly (readonly string[])[]
}
