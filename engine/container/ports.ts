import type { Readable, Writable } from 'node:stream'
import type { ExecPlan, LaunchPlan } from '../runtime/plan.ts'

/** What the container engine asks of its neighbours, in the smallest form. `daemon` joins them. */

/** The parts of an OCI image configuration that a container takes over. */
export interface ImageConfig {
  readonly Env?: readonly string[] | null
  readonly Entrypoint?: readonly string[] | null
  readonly Cmd?: readonly string[] | null
  readonly WorkingDir?: string
  readonly User?: string
  readonly Labels?: Readonly<Record<string, string>> | null
  readonly Volumes?: Readonly<Record<string, object>> | null
  readonly ExposedPorts?: Readonly<Record<string, object>> | null
  readonly StopSignal?: string
}

export interface ImageSource {
  /** The image of a reference or id that is here; undefined: not pulled. */
  get(ref: string): { readonly id: string; readonly config: { readonly config?: ImageConfig } } | undefined
  /** Folder and layers below it, top first, unpacked. Stable for as long as a container refers to the image. */
  rootfs(imageId: string): Promise<{ readonly folder: string; readonly lower: readonly string[] }>
}

export interface VolumeSource {
  /** The volume's data folder; made when missing. Idempotent. */
  ensure(name: string, options: { readonly anonymous: boolean }): Promise<{ readonly folder: string }>
  /** Idempotent; refuses a volume that another container uses. */
  remove(name: string): Promise<void>
}

export interface Endpoint {
  readonly endpointId: string
  readonly address: string
  readonly prefixLength: number
  readonly gateway: string
  readonly mac: string
}

export interface NetworkSource {
  /** The network's name behind a name, an id or `bridge`; undefined: there is none. */
  resolve(name: string): string | undefined
  /** Puts an interface into the namespace; recorded before it is done. A second call for the same sandbox and network gives the same endpoint. */
  attach(
    network: string,
    options: {
      readonly sandboxId: string
      readonly netns: string
      readonly interfaceName: string
      readonly hostname: string
      readonly aliases: readonly string[]
      readonly address?: string
    },
  ): Promise<Endpoint>
  /** Idempotent. */
  detach(endpointId: string): Promise<void>
  /** Opens the ports (0: draws one) and gives them as bound. Idempotent for the same sandbox. */
  publish(sandboxId: string, ports: readonly PublishedPort[]): Promise<readonly PublishedPort[]>
  /** Idempotent. */
  unpublish(sandboxId: string): Promise<void>
  /** Removes interfaces, leases and ports of sandboxes that are not named. */
  reconcile(livingSandboxIds: ReadonlySet<string>): Promise<void>
  /** Name server and search list for `/etc/resolv.conf` of a sandbox on this network; undefined: the host's. */
  resolver(network: string):
    | {
        readonly servers: readonly string[]
        readonly search: readonly string[]
        readonly options: readonly string[]
      }
    | undefined
}

export interface PublishedPort {
  readonly hostIp: string
  readonly hostPort: number
  readonly containerPort: number
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  readonly address: string
}

/** What `Relay` does for sandboxes: namespaces that outlive processes, and mounts of the host. */
export interface NamespacePinner {
  /** Makes the namespaces and binds each to its file (made). Fails whole: nothing stays pinned after an error. */
  pinNamespaces(
    pins: { readonly net?: string; readonly ipc?: string; readonly uts?: string },
    options: { readonly hostname?: string; readonly sysctls?: Readonly<Record<string, string>> },
  ): Promise<void>
  /** umount and unlink; idempotent. */
  unpin(path: string): Promise<void>
}

/** Mounts of the host: overlays for reading an image's files as a whole, and what a sandbox's containers share. */
export interface OverlayMounter {
  mountOverlay(overlay: {
    readonly folder: string
    readonly lower: readonly string[]
    readonly target: string
  }): Promise<void>
  /** mount(2). */
  mount(mount: {
    readonly source: string
    readonly target: string
    readonly type?: string
    readonly flags?: number
    readonly options?: string
  }): Promise<void>
  /** Idempotent. */
  unmount(path: string, options?: { readonly lazy?: boolean }): Promise<void>
}

export interface Exit {
  /** 128 + signal when killed. */
  readonly code: number
  readonly signal?: number
  readonly oomKilled: boolean
  readonly finishedAt: number
}

export interface AttachSession {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  resize(rows: number, columns: number): Promise<void>
  close(): void
}

export interface ExecSession extends AttachSession {
  readonly pid: number
  signal(signo: number): Promise<void>
  readonly exited: Promise<{ readonly code: number }>
}

/** One container's supervisor: it lives without the daemon. */
export interface SupervisorHandle {
  readonly pid: number
  /** Whether its program had begun when this connection was made. */
  readonly running: boolean
  /** Lets the process go past the plan's barrier. */
  start(): Promise<void>
  signal(signo: number, options?: { readonly all?: boolean }): Promise<void>
  resize(rows: number, columns: number): Promise<void>
  attach(options: {
    readonly stdin: boolean
    readonly stdout: boolean
    readonly stderr: boolean
  }): Promise<AttachSession>
  exec(plan: ExecPlan): Promise<ExecSession>
  /** Rejects when the supervisor was lost without a record, or this connection was disposed before the end. */
  readonly exited: Promise<Exit>
  [Symbol.asyncDispose](): Promise<void>
}

export interface Launcher {
  /** Runs the plan up to its barrier. Rejects with the failed step; then nothing of it is left. */
  launch(plan: LaunchPlan, signal: AbortSignal): Promise<SupervisorHandle>
  /** A supervisor that is still there; rejects when there is none. */
  connect(socketPath: string, signal: AbortSignal): Promise<SupervisorHandle>
  /** The exit that a supervisor left behind; undefined: it left none. */
  readExit(stateFolder: string): Promise<Exit | undefined>
}
