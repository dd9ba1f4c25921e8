import type { Readable, Writable } from 'node:stream'
import type {
  AttachOptions,
  ContainerEvent,
  ContainerRecord,
  ContainerSettings,
  ContainerStats,
  ExecSettings,
  LogLine,
  LogOptions,
  LogSettings,
  PortSetting,
  ProcessTable,
  WaitCondition,
} from '../../container/container.ts'

/** What docker's API asks of the engine, in parts; `daemon` binds them. A `ref` is an id, a unique prefix or a name. */
export interface DockerEngine {
  readonly life: ContainerLife
  readonly views: ContainerViews
  readonly streams: ContainerStreams
  readonly images: ImageSource
  readonly networks: NetworkSource
  readonly volumes: VolumeSource
  readonly facts: EngineFacts
  /** Of containers that ask for none. */
  readonly logs: LogSettings
  /** Rejects with CONFLICT, by name, when somebody has one of the ports. */
  checkPorts(ports: readonly PortSetting[]): Promise<void>
}

/** Changes of a container. Each rejects with NOT_FOUND for an unknown ref and CONFLICT when the state forbids it. */
interface ContainerLife {
  create(settings: ContainerSettings, signal: AbortSignal): Promise<ContainerRecord>
  start(ref: string, signal: AbortSignal): Promise<void>
  stop(ref: string, options: StopOptions, signal: AbortSignal): Promise<void>
  restart(ref: string, options: StopOptions, signal: AbortSignal): Promise<void>
  kill(ref: string, signo: number): Promise<void>
  remove(ref: string, options: { readonly force: boolean; readonly volumes: boolean }): Promise<void>
  rename(ref: string, name: string): Promise<void>
}

interface StopOptions {
  readonly timeoutSeconds?: number
  readonly signo?: number
}

interface ContainerViews {
  /** Throws NOT_FOUND. */
  inspect(ref: string): ContainerRecord
  list(): readonly ContainerRecord[]
  stats(ref: string): Promise<ContainerStats>
  top(ref: string): Promise<ProcessTable>
  /** The launch plan, one line a system call with its reason. */
  explain(ref: string): Promise<readonly string[]>
}

export interface Session {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  resize(rows: number, columns: number): Promise<void>
  close(): void
}

export interface ExecSession extends Session {
  readonly pid: number
  readonly exited: Promise<{ readonly code: number }>
}

interface ContainerStreams {
  /** Placed at once, also before the start: then it resolves when the container starts and misses nothing. */
  attach(ref: string, options: AttachOptions, signal: AbortSignal): Promise<Session>
  exec(ref: string, settings: ExecSettings, signal: AbortSignal): Promise<ExecSession>
  resize(ref: string, rows: number, columns: number): Promise<void>
  logs(ref: string, options: LogOptions, signal: AbortSignal): AsyncIterable<LogLine>
  /** The exit code when the condition holds. Placed before the call returns. */
  wait(ref: string, condition: WaitCondition, signal: AbortSignal): Promise<{ readonly exitCode: number }>
  /** Calls back for each event until the signal is aborted. */
  events(listener: (event: ContainerEvent) => void, signal: AbortSignal): void
}

/** An image as the API shows it. */
export interface ImageView {
  readonly id: string
  /** Whole references, `docker.io/library/redis:7`. */
  readonly names: readonly string[]
  readonly digests: readonly string[]
  readonly created: string
  readonly sizeBytes: number
  readonly architecture: string
  readonly os: string
  readonly author: string
  readonly config: Readonly<Record<string, unknown>>
  readonly diffIds: readonly string[]
}

/** What happens to one layer, or to the pull as a whole (no id). */
export interface PullStep {
  readonly status: string
  readonly id?: string
  readonly current?: number
  readonly total?: number
}

export interface PullRequest {
  readonly reference: string
  readonly auth?: { readonly username: string; readonly password: string; readonly identitytoken?: string }
  readonly platform?: string
  readonly onStep: (step: PullStep) => void
  readonly signal: AbortSignal
}

export interface ImageSource {
  pull(request: PullRequest): Promise<void>
  /** By id, unique prefix of an id, name or name with digest. */
  get(ref: string): ImageView | undefined
  list(): readonly ImageView[]
  remove(
    ref: string,
    options: { readonly force: boolean },
  ): Promise<readonly { readonly untagged?: string; readonly deleted?: string }[]>
  tag(ref: string, name: string): Promise<void>
}

export interface NetworkView {
  readonly name: string
  readonly id: string
  readonly created: number
  readonly subnet: string
  readonly gateway: string
  readonly internal: boolean
  readonly labels: Readonly<Record<string, string>>
  readonly bridge: string
  /** By the sandbox (a container's id). */
  readonly members: readonly NetworkMemberView[]
}

interface NetworkMemberView {
  readonly sandboxId: string
  readonly endpointId: string
  readonly address: string
  readonly prefixLength: number
  readonly mac: string
  /** The host's end of the pair. */
  readonly interfaceName: string
}

export interface NetworkSource {
  list(): readonly NetworkView[]
  create(
    name: string,
    options: {
      readonly subnet?: string
      readonly gateway?: string
      readonly internal: boolean
      readonly labels: Readonly<Record<string, string>>
    },
  ): Promise<NetworkView>
  remove(name: string): Promise<void>
  connect(
    name: string,
    container: string,
    options: { readonly aliases: readonly string[]; readonly address?: string },
  ): Promise<void>
  disconnect(name: string, container: string, options: { readonly force: boolean }): Promise<void>
}

export interface VolumeView {
  readonly name: string
  readonly folder: string
  readonly created: number
  readonly labels: Readonly<Record<string, string>>
}

interface VolumeSource {
  list(): readonly VolumeView[]
  get(name: string): VolumeView | undefined
  create(name: string, options: { readonly labels: Readonly<Record<string, string>> }): Promise<VolumeView>
  remove(name: string): Promise<void>
}

/** What `docker info` and `docker version` print of the machine. */
export interface EngineFacts {
  readonly id: string
  readonly version: string
  readonly root: string
  readonly hostname: string
  readonly kernel: string
  readonly system: string
  readonly cpus: number
  readonly memoryBytes: number
  readonly cgroupVersion: 1 | 2
  readonly registryMirrors: readonly string[]
}
