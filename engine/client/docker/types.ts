/**
 * Docker's JSON, as Docker 24 and later give it, for what berth reads and writes; shared by the client and by the
 * API's server side. https://docs.docker.com/reference/api/engine/version/v1.47/
 */
export interface PortSummary {
  readonly IP?: string
  readonly PrivatePort: number
  readonly PublicPort?: number
  readonly Type: string
}

export interface EndpointSettings {
  readonly IPAMConfig: { readonly IPv4Address?: string } | null
  readonly Links: null
  readonly Aliases: readonly string[] | null
  readonly NetworkID: string
  readonly EndpointID: string
  readonly Gateway: string
  readonly IPAddress: string
  readonly IPPrefixLen: number
  readonly IPv6Gateway: string
  readonly GlobalIPv6Address: string
  readonly GlobalIPv6PrefixLen: number
  readonly MacAddress: string
  readonly DriverOpts: null
  readonly DNSNames?: readonly string[] | null
}

export interface MountSummary {
  readonly Type: string
  readonly Name?: string
  readonly Source: string
  readonly Destination: string
  readonly Driver?: string
  readonly Mode: string
  readonly RW: boolean
  readonly Propagation: string
}

/** One row of `GET /containers/json`. */
export interface ContainerSummary {
  readonly Id: string
  readonly Names: readonly string[]
  readonly Image: string
  readonly ImageID: string
  readonly Command: string
  readonly Created: number
  readonly Ports: readonly PortSummary[]
  readonly Labels: Readonly<Record<string, string>>
  readonly State: string
  readonly Status: string
  readonly HostConfig: { readonly NetworkMode: string }
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, EndpointSettings>> }
  readonly Mounts: readonly MountSummary[]
}

interface PortBinding {
  readonly HostIp: string
  readonly HostPort: string
}

export type PortMap = Readonly<Record<string, readonly PortBinding[] | null>>

export interface MountRequest {
  readonly Type: 'bind' | 'volume' | 'tmpfs'
  readonly Source?: string
  readonly Target: string
  readonly ReadOnly?: boolean
  readonly BindOptions?: { readonly Propagation?: string; readonly CreateMountpoint?: boolean }
  readonly VolumeOptions?: { readonly NoCopy?: boolean; readonly Subpath?: string }
  readonly TmpfsOptions?: { readonly SizeBytes?: number; readonly Mode?: number }
}

/** The part of a container that does not belong to the machine it runs on. */
interface ContainerConfig {
  readonly Hostname?: string
  readonly Domainname?: string
  readonly User?: string
  readonly AttachStdin?: boolean
  readonly AttachStdout?: boolean
  readonly AttachStderr?: boolean
  readonly ExposedPorts?: Readonly<Record<string, object>> | null
  readonly Tty?: boolean
  readonly OpenStdin?: boolean
  readonly StdinOnce?: boolean
  readonly Env?: readonly string[] | null
  readonly Cmd?: readonly string[] | null
  readonly Image: string
  readonly Volumes?: Readonly<Record<string, object>> | null
  readonly WorkingDir?: string
  readonly Entrypoint?: readonly string[] | null
  readonly Labels?: Readonly<Record<string, string>> | null
  readonly StopSignal?: string
  readonly StopTimeout?: number
}

export interface HostConfig {
  readonly Binds?: readonly string[] | null
  readonly LogConfig?: { readonly Type?: string; readonly Config?: Readonly<Record<string, string>> | null }
  readonly NetworkMode?: string
  readonly PortBindings?: PortMap | null
  readonly PublishAllPorts?: boolean
  readonly RestartPolicy?: { readonly Name?: string; readonly MaximumRetryCount?: number }
  readonly AutoRemove?: boolean
  readonly VolumesFrom?: readonly string[] | null
  readonly CapAdd?: readonly string[] | null
  readonly CapDrop?: readonly string[] | null
  readonly CgroupnsMode?: string
  readonly CgroupParent?: string
  readonly Dns?: readonly string[] | null
  readonly DnsOptions?: readonly string[] | null
  readonly DnsSearch?: readonly string[] | null
  readonly ExtraHosts?: readonly string[] | null
  readonly GroupAdd?: readonly string[] | null
  readonly IpcMode?: string
  readonly PidMode?: string
  readonly UTSMode?: string
  readonly Links?: readonly string[] | null
  readonly OomScoreAdj?: number
  readonly Privileged?: boolean
  readonly ReadonlyRootfs?: boolean
  readonly SecurityOpt?: readonly string[] | null
  readonly Tmpfs?: Readonly<Record<string, string>> | null
  readonly ShmSize?: number
  readonly Sysctls?: Readonly<Record<string, string>> | null
  readonly Init?: boolean | null
  readonly Memory?: number
  readonly MemorySwap?: number
  readonly MemoryReservation?: number
  readonly NanoCpus?: number
  readonly CpuShares?: number
  readonly CpuPeriod?: number
  readonly CpuQuota?: number
  readonly CpusetCpus?: string
  readonly CpusetMems?: string
  readonly BlkioWeight?: number
  readonly PidsLimit?: number | null
  readonly Ulimits?: readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[] | null
  readonly Devices?:
    | readonly {
        readonly PathOnHost: string
        readonly PathInContainer: string
        readonly CgroupPermissions: string
      }[]
    | null
  readonly Mounts?: readonly MountRequest[] | null
  readonly MaskedPaths?: readonly string[] | null
  readonly ReadonlyPaths?: readonly string[] | null
}

export interface EndpointRequest {
  readonly Aliases?: readonly string[] | null
  readonly IPAMConfig?: { readonly IPv4Address?: string } | null
}

/** The body of `POST /containers/create`. */
export interface ContainerCreate extends ContainerConfig {
  readonly HostConfig?: HostConfig
  readonly NetworkingConfig?: {
    readonly EndpointsConfig?: Readonly<Record<string, EndpointRequest>> | null
  } | null
}

export interface ContainerCreated {
  readonly Id: string
  readonly Warnings: readonly string[] | null
}

/** What a command reads of `GET /containers/ID/json`; the whole is printed as it came. */
export interface ContainerDetails {
  readonly Id: string
  readonly Name: string
  readonly Image: string
  readonly State: {
    readonly Status: string
    readonly Running: boolean
    readonly ExitCode: number
    readonly Error: string
  }
  readonly Config: ContainerConfig
  readonly HostConfig: HostConfig
}

export interface ImageSummary {
  readonly Id: string
  readonly ParentId: string
  readonly RepoTags: readonly string[] | null
  readonly RepoDigests: readonly string[] | null
  readonly Created: number
  readonly Size: number
  readonly VirtualSize?: number
  readonly SharedSize: number
  readonly Labels: Readonly<Record<string, string>> | null
  readonly Containers: number
}

/** A line of a pull's progress. */
export interface PullProgress {
  readonly status?: string
  readonly id?: string
  readonly progressDetail?: { readonly current?: number; readonly total?: number }
  readonly error?: string
  readonly errorDetail?: { readonly message: string; readonly code?: number }
}

export interface VolumeDetails {
  readonly CreatedAt: string
  readonly Driver: string
  readonly Labels: Readonly<Record<string, string>> | null
  readonly Mountpoint: string
  readonly Name: string
  readonly Options: Readonly<Record<string, string>> | null
  readonly Scope: string
}

export interface NetworkDetails {
  readonly Name: string
  readonly Id: string
  readonly Created: string
  readonly Scope: string
  readonly Driver: string
  readonly EnableIPv6: boolean
  readonly IPAM: {
    readonly Driver: string
    readonly Options: null | object
    readonly Config: readonly { readonly Subnet?: string; readonly Gateway?: string }[] | null
  }
  readonly Internal: boolean
  readonly Attachable: boolean
  readonly Ingress: boolean
  readonly ConfigFrom: { readonly Network: string }
  readonly ConfigOnly: boolean
  readonly Containers: Readonly<Record<string, NetworkMember>>
  readonly Options: Readonly<Record<string, string>>
  readonly Labels: Readonly<Record<string, string>>
}

export interface NetworkMember {
  readonly Name: string
  readonly EndpointID: string
  readonly MacAddress: string
  readonly IPv4Address: string
  readonly IPv6Address: string
  /** berth's own: the host's end of the interface pair. */
  readonly Interface?: string
}
