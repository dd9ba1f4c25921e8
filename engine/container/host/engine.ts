import { join } from 'node:path'
import type { Clock } from '../../base/host/clock.ts'
import type { Log } from '../../base/host/log.ts'
import type { CgroupLayout } from '../../runtime/oci/cgroups.ts'
import type { KernelFacts } from '../../runtime/oci/process-steps.ts'
import type { Collection } from '../../store/collection.ts'
import type { ContainerRecord, EndpointRecord } from '../container.ts'
import { shortId } from '../id.ts'
import type {
  ImageSource,
  Launcher,
  NamespacePinner,
  NetworkSource,
  OverlayMounter,
  VolumeSource,
} from '../ports.ts'

/** What the container engine works with. */
export interface Engine {
  /** Durable: `containers/ID/…`. */
  readonly root: string
  /** Until the machine restarts: `s/ID12`, `ns/ID12-KIND`. */
  readonly run: string
  readonly records: Collection<ContainerRecord>
  readonly images: ImageSource
  readonly volumes: VolumeSource
  readonly networks: NetworkSource
  readonly namespaces: NamespacePinner
  readonly overlays: OverlayMounter
  readonly launcher: Launcher
  readonly clock: Clock
  readonly log: Log
  readonly kernel: KernelFacts
  readonly cgroups: CgroupLayout
  /** A pod's sandbox, whose networks and memory its containers share. */
  readonly podSandbox?: (id: string) => {
    readonly settings: { readonly sharedMemory?: boolean }
    readonly opened?: { readonly networks: Readonly<Record<string, EndpointRecord>> }
  }
}

/**
 * A container's places.
 *
 *   ROOT/containers/ID/   upper work rootfs   overlay: written, the kernel's, mounted (in the container's namespace only)
 *                         hosts hostname resolv.conf
 *                         runs/N              what the supervisor of start N keeps: state, exit
 *                         ID.log ID.log.1 …
 *   RUN/s/ID12            the supervisor's socket
 *   RUN/ns/ID12-{net,ipc,uts,pid}
 */
export function placesOf(engine: Pick<Engine, 'root' | 'run'>, id: string) {
  const folder = join(engine.root, 'containers', id)
  return {
    folder,
    upper: join(folder, 'upper'),
    work: join(folder, 'work'),
    rootfs: join(folder, 'rootfs'),
    log: join(folder, `${id}.log`),
    state: (run: number) => join(folder, 'runs', String(run)),
    socket: join(engine.run, 's', shortId(id)),
    namespace: (kind: 'net' | 'ipc' | 'uts' | 'pid') => join(engine.run, 'ns', `${shortId(id)}-${kind}`),
  }
}

/**
 * A pod's sandbox's places.
 *
 *   ROOT/sandboxes/ID/   shm     mounted: the memory that its containers share as /dev/shm
 *                        root    what its first process has as its files: nothing
 *                        state   what the supervisor of that process keeps
 *   RUN/s/ID12           the supervisor's socket
 */
export function sandboxPlacesOf(engine: Pick<Engine, 'root' | 'run'>, id: string) {
  const folder = join(engine.root, 'sandboxes', id)
  const { socket, namespace } = placesOf(engine, id)
  const state = join(folder, 'state')
  return { folder, shm: join(folder, 'shm'), root: join(folder, 'root'), state, socket, namespace }
}

/** The layout with the container's own parent, such as a pod's cgroup. */
export function cgroupsOf(engine: Pick<Engine, 'cgroups'>, parent: string | undefined): CgroupLayout {
  return parent ? { ...engine.cgroups, parent: `${engine.cgroups.parent}/${parent}` } : engine.cgroups
}
