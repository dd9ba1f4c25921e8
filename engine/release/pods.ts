import type { ClusterObject } from './cluster.ts'

/** The parts of a Pod that tell a person how far it is. */
export interface PodObject extends ClusterObject {
  readonly spec?: {
    readonly containers?: readonly ContainerSpec[]
    readonly initContainers?: readonly ContainerSpec[]
  }
  readonly status?: {
    readonly phase?: string
    readonly reason?: string
    readonly message?: string
    readonly podIP?: string
    readonly conditions?: readonly { readonly type: string; readonly status: string }[]
    readonly containerStatuses?: readonly ContainerState[]
    readonly initContainerStatuses?: readonly ContainerState[]
  }
}

export interface ContainerSpec {
  readonly name: string
  readonly image?: string
  readonly ports?: readonly { readonly containerPort: number; readonly protocol?: string }[]
}

export interface ContainerState {
  readonly name: string
  readonly image?: string
  readonly ready?: boolean
  readonly restartCount?: number
  readonly state?: StateOfContainer
  readonly lastState?: StateOfContainer
}

interface StateOfContainer {
  readonly waiting?: { readonly reason?: string; readonly message?: string }
  readonly running?: { readonly startedAt?: string }
  readonly terminated?: {
    readonly reason?: string
    readonly message?: string
    readonly exitCode?: number
    readonly startedAt?: string
    readonly finishedAt?: string
  }
}

/**
 * The workload that a pod belongs to, as `KIND/NAME`, from the pod alone: a ReplicaSet's name is its Deployment's and
 * the hash that the pod carries as a label; a CronJob's Job ends in minutes. A pod that nobody controls is its own.
 */
function workloadOf({ metadata }: ClusterObject): string {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true) as
    | { readonly kind?: string; readonly name?: string }
    | undefined
  if (owner?.kind === undefined || owner.name === undefined) return `Pod/${metadata.name}`
  const hash = metadata.labels?.['pod-template-hash']
  if (owner.kind === 'ReplicaSet' && hash !== undefined && owner.name.endsWith(`-${hash}`))
    return `Deployment/${owner.name.slice(0, -hash.length - 1)}`
  return `${owner.kind}/${owner.name}`
}

/** Whether a pod belongs to one of the workloads; a CronJob's pods to the CronJob. */
export function isOfWorkload(pod: ClusterObject, workloads: ReadonlySet<string>): boolean {
  const own = workloadOf(pod)
  if (workloads.has(own)) return true
  const [, cron] = /^Job\/(.+)-\d{8,}$/.exec(own) ?? []
  return cron !== undefined && workloads.has(`CronJob/${cron}`)
}

export function isPodReady({ status }: PodObject): boolean {
  return status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true
}

/** All container states of a pod, those of its init containers first. */
export function containerStates({ status }: PodObject): readonly ContainerState[] {
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]
}

/** What keeps a pod from being ready, when it is more than time. */
export interface PodTrouble {
  readonly container: string
  /** Kubernetes' word: ImagePullBackOff, CrashLoopBackOff, … */
  readonly reason: string
  /** In words, with the cause that is known. */
  readonly text: string
  /** The container ran and ended: its log tells more. */
  readonly crashed: boolean
}

const patience = ['ContainerCreating', 'PodInitializing']

/** The first trouble of a pod's containers, or of the pod itself. */
export function podTrouble(pod: PodObject): PodTrouble | undefined {
  // What ends because it is to end is in no trouble.
  if (pod.metadata.deletionTimestamp !== undefined) return undefined
  for (const state of containerStates(pod)) {
    const found = containerTrouble(state)
    if (found) return found
  }
  const { phase, reason = 'Failed', message } = pod.status ?? {}
  if (phase !== 'Failed') return undefined
  return { container: '', reason, text: message ?? reason, crashed: false }
}

function containerTrouble({ name: container, image, state, lastState, restartCount = 0 }: ContainerState) {
  const { waiting, terminated = lastState?.terminated } = state ?? {}
  const { reason = '', message = '' } = waiting ?? {}
  if (waiting && reason.includes('CrashLoop'))
    return {
      container,
      reason,
      text: `${ending(terminated)}, restarted ${restartCount === 1 ? 'once' : `${restartCount} times`}`,
      crashed: true,
    }
  if (waiting && /^(ErrImage|ImagePull|InvalidImage)/.test(reason)) {
    // Kubelet's words repeat themselves: Back-off pulling image "x": ErrImagePull: failed to pull image "x": CAUSE.
    const cause = message
      .replace(/^.*[Ff]ailed to pull image "[^"]*": /, '')
      .replace(/^Cannot pull "[^"]*": /, '')
    return {
      container,
      reason,
      text: `cannot pull ${image ?? 'its image'}: ${cause || reason}`,
      crashed: false,
    }
  }
  if (waiting && reason !== '' && !patience.includes(reason))
    return { container, reason, text: message === '' ? reason : `${reason}: ${message}`, crashed: false }
  if (state?.terminated && state.terminated.exitCode !== 0)
    return {
      container,
      reason: state.terminated.reason ?? 'Error',
      text: ending(state.terminated),
      crashed: true,
    }
  return undefined
}

function ending(terminated: NonNullable<ContainerState['state']>['terminated']): string {
  const { exitCode, reason = 'Error', message } = terminated ?? {}
  const word = reason === 'Error' || reason === 'Completed' ? '' : ` (${reason})`
  return `ended with exit code ${exitCode ?? '?'}${word}${message ? `: ${message.trim()}` : ''}`
}
