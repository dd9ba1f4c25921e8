/**
 * The OCI runtime configuration (`config.json`, runtime-spec 1.2), as far as berth acts on it.
 * https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config.md
 */
export interface OciSpec {
  readonly ociVersion: string
  readonly process?: OciProcess
  readonly root?: { readonly path: string; readonly readonly?: boolean }
  readonly hostname?: string
  readonly domainname?: string
  readonly mounts?: readonly OciMount[]
  readonly annotations?: Readonly<Record<string, string>>
  readonly linux?: OciLinux
}

export interface OciProcess {
  readonly terminal?: boolean
  readonly user?: OciUser
  readonly args: readonly string[]
  readonly env?: readonly string[]
  readonly cwd: string
  readonly capabilities?: OciCapabilities
  readonly rlimits?: readonly OciRlimit[]
  readonly noNewPrivileges?: boolean
  readonly oomScoreAdj?: number
}

export interface OciUser {
  readonly uid: number
  readonly gid: number
  readonly umask?: number
  readonly additionalGids?: readonly number[]
}

export interface OciCapabilities {
  readonly bounding?: readonly string[]
  readonly effective?: readonly string[]
  readonly permitted?: readonly string[]
  readonly inheritable?: readonly string[]
  readonly ambient?: readonly string[]
}

export interface OciRlimit {
  /** `RLIMIT_NOFILE`. */
  readonly type: string
  readonly soft: number
  readonly hard: number
}

export interface OciMount {
  readonly destination: string
  readonly type?: string
  readonly source?: string
  readonly options?: readonly string[]
  /** berth's own: the part of a bind's source to bind, found without leaving the source. */
  readonly part?: { readonly path: string; readonly create: boolean }
}

export type OciNamespaceType = 'pid' | 'network' | 'mount' | 'ipc' | 'uts' | 'user' | 'cgroup' | 'time'

export interface OciIdMapping {
  readonly containerID: number
  readonly hostID: number
  readonly size: number
}

export interface OciDevice {
  readonly path: string
  readonly type: 'c' | 'b' | 'u' | 'p'
  readonly major?: number
  readonly minor?: number
  readonly fileMode?: number
  readonly uid?: number
  readonly gid?: number
}

export interface OciLinux {
  readonly namespaces?: readonly { readonly type: OciNamespaceType; readonly path?: string }[]
  readonly uidMappings?: readonly OciIdMapping[]
  readonly gidMappings?: readonly OciIdMapping[]
  readonly devices?: readonly OciDevice[]
  readonly cgroupsPath?: string
  readonly resources?: OciResources
  readonly rootfsPropagation?: string
  readonly seccomp?: OciSeccomp
  readonly sysctl?: Readonly<Record<string, string>>
  readonly maskedPaths?: readonly string[]
  readonly readonlyPaths?: readonly string[]
}

export interface OciDeviceRule {
  readonly allow: boolean
  readonly type?: 'a' | 'c' | 'b'
  readonly major?: number
  readonly minor?: number
  readonly access?: string
}

export interface OciResources {
  readonly devices?: readonly OciDeviceRule[]
  readonly memory?: {
    readonly limit?: number
    readonly reservation?: number
    readonly swap?: number
    readonly swappiness?: number
    readonly disableOOMKiller?: boolean
  }
  readonly cpu?: {
    readonly shares?: number
    readonly quota?: number
    readonly period?: number
    readonly burst?: number
    readonly cpus?: string
    readonly mems?: string
    readonly idle?: number
  }
  readonly pids?: { readonly limit: number }
  readonly blockIO?: { readonly weight?: number }
  /** cgroup v2 files by name, written as they are. */
  readonly unified?: Readonly<Record<string, string>>
}

export interface OciSeccomp {
  readonly defaultAction: string
  readonly defaultErrnoRet?: number
  readonly architectures?: readonly string[]
  readonly flags?: readonly string[]
  readonly syscalls?: readonly OciSyscallRule[]
}

export interface OciSyscallRule {
  readonly names: readonly string[]
  readonly action: string
  readonly errnoRet?: number
  readonly args?: readonly OciSyscallArg[]
}

export interface OciSyscallArg {
  readonly index: number
  readonly value: number
  readonly valueTwo?: number
  readonly op: string
}
