import type {
  ContainerEvent,
  ContainerRecord,
  ContainerSettings,
  ExecSettings,
  PortSetting,
} from '../container/container.ts'
import type { ExecSession } from '../container/ports.ts'
import type { Pod, PodStatus } from '../object/types.generated.ts'

/** What the node asks of its neighbours, in the smallest form. `daemon` joins them. */

export interface ContainerEngine {
  create(settings: ContainerSettings, signal: AbortSignal): Promise<ContainerRecord>
  start(ref: string, signal: AbortSignal): Promise<void>
  /** The stop signal, after the grace SIGKILL. Idempotent. */
  stop(ref: string, options: { readonly timeoutSeconds?: number }, signal: AbortSignal): Promise<void>
  /** With `force` also one that runs. */
  remove(ref: string, options: { readonly force: boolean; readonly volumes: boolean }): Promise<void>
  exec(ref: string, exec: ExecSettings, signal: AbortSignal): Promise<ExecSession>
  list(): readonly ContainerRecord[]
  events(listener: (event: ContainerEvent) => void, signal: AbortSignal): void
}

export interface SandboxRequest {
  readonly id: string
  readonly hostname: string
  readonly own: readonly ('net' | 'ipc' | 'uts' | 'pid')[]
  readonly networks: readonly { readonly name: string; readonly aliases: readonly string[] }[]
  readonly ports: readonly PortSetting[]
  readonly sysctls: Readonly<Record<string, string>>
  readonly sharedMemory: boolean
  readonly cgroupParent: string
}

export interface PodSandbox {
  readonly id: string
  readonly created: number
  /** Absent until it is whole. */
  readonly opened?: { readonly networks: Readonly<Record<string, { readonly address: string }>> }
}

export interface SandboxEngine {
  /** One of the same id that is whole is given back as it is. */
  create(settings: SandboxRequest): Promise<PodSandbox>
  /** Idempotent. */
  remove(id: string): Promise<void>
  list(): readonly PodSandbox[]
  /** Calls back for each sandbox that went without being removed, such as with its first process. */
  lost(listener: (id: string) => void, signal: AbortSignal): void
}

/** Control groups of pods, which hold those of their containers (`ContainerSettings.cgroupParent`). */
export interface PodCgroups {
  /** Removes a pod's, once its containers have ended. Idempotent. */
  remove(podUid: string): Promise<void>
}

export interface ImageEngine {
  pull(reference: string, options: { readonly signal: AbortSignal }): Promise<unknown>
  get(reference: string):
    | {
        readonly id: string
        readonly sizeBytes?: number
        readonly config: { readonly config?: { readonly User?: string } }
      }
    | undefined
}

export interface VolumeEngine {
  /** The folder of a named volume; made when missing. Idempotent. */
  ensure(name: string): Promise<{ readonly folder: string }>
}

/** Mounts that volumes in memory need; `unmount` is idempotent. */
export interface Mounter {
  mountTmpfs(target: string, options: { readonly sizeBytes?: number }): Promise<void>
  unmount(target: string): Promise<void>
}

/** Tokens of service accounts. */
export interface TokenIssuer {
  issue(account: {
    readonly namespace: string
    readonly name: string
    readonly audience?: string
    readonly expirationSeconds: number
  }): Promise<string>
}

/** The node's side of the API. */
export interface PodReporter {
  /** Puts a status; one of another version of the pod is refused with CONFLICT and will be reported again. */
  report(pod: Pod, status: PodStatus): Promise<void>
  /** The pod's end: its object goes, with a grace of 0. Idempotent. */
  finish(pod: Pod): Promise<void>
  /** Notes an event about the pod or one of its containers. Never rejects. */
  record(pod: Pod, event: PodEvent): void
}

export interface PodEvent {
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly message: string
  /** `spec.containers{web}` for one about a container. */
  readonly fieldPath?: string
}
