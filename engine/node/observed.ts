import type { Pod } from '../object/types.generated.ts'
import type { BackOff } from './backoff.ts'
import type { ProbeKind, ProbeState } from './probe.ts'

/** One run of a pod's container as it is on the machine. */
export interface ObservedContainer {
  readonly id: string
  /** The container's name in the pod. */
  readonly name: string
  /** 0 for the first run, one more with each restart. */
  readonly attempt: number
  /** As the pod's spec asked for it. */
  readonly image: string
  readonly imageId: string
  readonly status: 'created' | 'running' | 'exited'
  readonly startedAt?: number
  readonly finishedAt?: number
  readonly exitCode: number
  readonly oomKilled: boolean
  /** What it left in its termination message file. */
  readonly message?: string
}

/** What is known of an image by its name. */
export interface ObservedImage {
  readonly id: string
  /** The user of the image's configuration. */
  readonly user: string
}

/** A pod as it is on the machine. */
export interface Observed {
  readonly sandbox: { readonly id: string; readonly address: string; readonly createdAt: number } | undefined
  /** All runs of all containers that are still there. */
  readonly containers: readonly ObservedContainer[]
  /** Images that are here, by the name that the pod uses. */
  readonly images: ReadonlyMap<string, ObservedImage>
  /** The pod's volume folders are made. */
  readonly volumesReady: boolean
  /** Workloads that the pod needs and that are not ready. */
  readonly unmet?: readonly string[]
}

export interface Trouble {
  readonly reason: string
  readonly message: string
  readonly at: number
}

/** What the daemon remembers of a pod while it runs. All of it may be lost: then some things are tried once more. */
export interface PodMemory {
  /** By container id. */
  readonly probes: ReadonlyMap<string, Readonly<Partial<Record<ProbeKind, ProbeState>>>>
  /** Restarts, by container name. */
  readonly restarts: ReadonlyMap<string, BackOff>
  /** Images that are being pulled now. */
  readonly pulling: ReadonlySet<string>
  /** The attempt for which a container's image was pulled, by container name: `imagePullPolicy: Always` pulls for each. */
  readonly pulled: ReadonlyMap<string, number>
  /** Pulls that failed, by image. */
  readonly pullTroubles: ReadonlyMap<string, Trouble & { readonly backOff: BackOff | undefined }>
  /** A container that could not be made or started, by container name. */
  readonly runTroubles: ReadonlyMap<string, Trouble>
  /** Volumes or sandbox that could not be made. */
  readonly setupTrouble: Trouble | undefined
  /** Ids of containers that are being stopped. */
  readonly stopping: ReadonlySet<string>
}

export const noMemory: PodMemory = {
  probes: new Map(),
  restarts: new Map(),
  pulling: new Set(),
  pulled: new Map(),
  pullTroubles: new Map(),
  runTroubles: new Map(),
  setupTrouble: undefined,
  stopping: new Set(),
}

/**
 * What a node that begins anew may take from the status that was reported last: a container that was ready or had started
 * is so until a probe says otherwise. Else each start of berth would take all pods out of their services for a moment.
 */
export function recalled({ status }: Pod): PodMemory {
  const known: ProbeState = { result: 'success', inRow: 0 }
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]
  const probes = all
    .filter(({ started }) => started)
    .map(({ containerID = '', ready }) => {
      const states = { startup: known, ...(ready && { readiness: known }) }
      return [containerID.replace(/^berth:\/\//, ''), states] as const
    })
  return { ...noMemory, probes: new Map(probes) }
}

/** The newest run of each container, by name. */
export function latestRuns(containers: readonly ObservedContainer[]): ReadonlyMap<string, ObservedContainer> {
  const latest = new Map<string, ObservedContainer>()
  for (const run of containers) {
    if ((latest.get(run.name)?.attempt ?? -1) < run.attempt) latest.set(run.name, run)
  }
  return latest
}
