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
  /** Networks of a pod's sandbox, for the files of /etc of its containers. */
  readonly podNetworks?: (sandboxId: string) => Readonly<Record<string, EndpointRecord>>
}

/**
 * A container's places.
 *
 *   ROOT/containers/ID/   upper work rootfs   overlay: written, the kernel's, mounted (in the container's namespace only)
 *                         hosts hostname resolv.conf
 *                         runs/N              what the supervisor of start N keeps: state, exit
 *                         ID.log ID.log.1 …
 *   RUN/s/ID12            the supervisor's socket
 *   RUN/ns/ID12-{net,ipc,uts}
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
    namespace: (kind: 'net' | 'ipc' | 'uts') => join(engine.run, 'ns', `${shortId(id)}-${kind}`),
  }
}

/** The layout with the container's own parent, such as a pod's cgroup. */
export function cgroupsOf(engine: Pick<Engine, 'cgroups'>, parent: string | undefined): CgroupLayout {
  return parent ? { ...engine.cgroups, parent: `${engine.cgroups.parent}/${parent}` } : engine.cgroups
}
