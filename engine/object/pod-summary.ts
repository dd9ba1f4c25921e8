import { timeMs } from './meta.ts'
import type { ContainerState, ContainerStatus, Pod } from './types.generated.ts'

/** Whether a container, by its name among the init containers, stays beside the others (`restartPolicy: Always`). */
function isSidecar(pod: Pod, name: string): boolean {
  return pod.spec.initContainers?.some((c) => c.name === name && c.restartPolicy === 'Always') ?? false
}

/** Whether a condition of the pod is `True`. */
export function hasCondition(pod: Pod, type: string): boolean {
  return pod.status?.conditions?.some((c) => c.type === type && c.status === 'True') ?? false
}

/** `READY` of `kubectl get pods`: ready of all containers that stay, sidecars included. */
export function podReady(pod: Pod): string {
  const sidecars = (pod.status?.initContainerStatuses ?? []).filter(
    (s) => isSidecar(pod, s.name) && s.started && s.ready,
  )
  const ready = (pod.status?.containerStatuses ?? []).filter((s) => s.ready && s.state?.running)
  const all =
    pod.spec.containers.length +
    (pod.spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always').length
  const initializing = initProblem(pod) !== undefined && !hasCondition(pod, 'Initialized')
  return `${sidecars.length + (initializing ? 0 : ready.length)}/${all}`
}

/** `STATUS` of `kubectl get pods`: the phase, or what keeps the pod from running. */
export function podStatus(pod: Pod): string {
  const { status } = pod
  if (pod.metadata.deletionTimestamp && status?.reason === 'NodeLost') return 'Unknown'
  const ended = status?.phase === 'Succeeded' || status?.phase === 'Failed'
  if (pod.metadata.deletionTimestamp && !ended) return 'Terminating'
  const gated = status?.conditions?.find((c) => c.type === 'PodScheduled' && c.reason === 'SchedulingGated')
  const phase = gated?.reason ?? status?.reason ?? status?.phase ?? ''
  const init = initProblem(pod)
  return init !== undefined && !hasCondition(pod, 'Initialized') ? init : containersReason(pod, init ?? phase)
}

/** How often containers were restarted, and when the last ended before that. */
export function podRestarts(pod: Pod): { restarts: number; last: number | undefined } {
  const initializing = initProblem(pod) !== undefined && !hasCondition(pod, 'Initialized')
  const init = (pod.status?.initContainerStatuses ?? []).filter((s) => initializing || isSidecar(pod, s.name))
  const all = [...init, ...(initializing ? [] : (pod.status?.containerStatuses ?? []))]
  const ends = all.flatMap((s) => timeMs(s.lastState?.terminated?.finishedAt) ?? [])
  return {
    restarts: all.reduce((sum, s) => sum + s.restartCount, 0),
    last: ends.length > 0 ? Math.max(...ends) : undefined,
  }
}

/** `Init:…` for the first init container that is not done, or undefined. */
function initProblem(pod: Pod): string | undefined {
  const statuses = pod.status?.initContainerStatuses ?? []
  for (const [i, status] of statuses.entries()) {
    if (status.state?.terminated?.exitCode === 0 || (isSidecar(pod, status.name) && status.started)) continue
    const { terminated, waiting } = status.state ?? {}
    if (terminated) return `Init:${endText(terminated)}`
    if (waiting?.reason && waiting.reason !== 'PodInitializing') return `Init:${waiting.reason}`
    return `Init:${i}/${pod.spec.initContainers?.length ?? 0}`
  }
  return undefined
}

function containersReason(pod: Pod, phase: string): string {
  let reason = phase
  let failure = ''
  const statuses = pod.status?.containerStatuses ?? []
  for (const { state } of [...statuses].reverse()) {
    if (state?.waiting?.reason) reason = state.waiting.reason
    else if (state?.terminated) {
      reason = endText(state.terminated)
      if (state.terminated.exitCode !== 0) failure = reason
    }
  }
  if (reason !== 'Completed') return reason
  const running = statuses.some((s: ContainerStatus) => s.ready && s.state?.running)
  if (running && hasCondition(pod, 'Ready')) return 'Running'
  return failure || (running ? 'NotReady' : reason)
}

function endText({ reason, signal, exitCode }: NonNullable<ContainerState['terminated']>): string {
  return reason || (signal ? `Signal:${signal}` : `ExitCode:${exitCode}`)
}
