import { withCondition } from '../object/conditions.ts'
import { timeText } from '../object/meta.ts'
import type { ContainerStatus, Pod, PodCondition, PodStatus } from '../object/types.generated.ts'
import type { Random } from './random.ts'

/** How the containers of a pod behave, in milliseconds. */
export interface Behaviour {
  readonly startMs: number
  /** From the start until ready; absent: never. */
  readonly readyMs?: number
  /** From the start until it ends by itself; absent: never. */
  readonly runMs?: number
  /** With what it ends by itself. */
  readonly exitCode?: number
  /** From the wish to stop until it is gone. */
  readonly stopMs: number
}

/** A good container: ready within three seconds, gone within two. */
export function usualBehaviour(_: Pod, random: Random): Behaviour {
  return {
    startMs: random.between(5, 500),
    readyMs: random.between(5, 3000),
    stopMs: random.between(5, 2000),
  }
}

/** The status of a pod whose containers run, ready or not. */
export function runningStatus(pod: Pod, ready: boolean, now: number): PodStatus {
  const restarts = pod.status?.containerStatuses?.[0]?.restartCount ?? 0
  return {
    ...pod.status,
    phase: 'Running',
    startTime: pod.status?.startTime ?? timeText(now),
    podIP: pod.status?.podIP ?? addressOf(pod),
    podIPs: [{ ip: pod.status?.podIP ?? addressOf(pod) }],
    containerStatuses: statuses(pod, { running: { startedAt: timeText(now) } }, ready, restarts),
    conditions: conditions(pod, ready, now),
  }
}

/** The status of a pod whose containers ended for good. */
export function endedStatus(pod: Pod, exitCode: number, now: number): PodStatus {
  const finishedAt = timeText(now)
  const reason = exitCode === 0 ? 'Completed' : 'Error'
  const restarts = pod.status?.containerStatuses?.[0]?.restartCount ?? 0
  return {
    ...pod.status,
    phase: exitCode === 0 ? 'Succeeded' : 'Failed',
    containerStatuses: statuses(pod, { terminated: { exitCode, reason, finishedAt } }, false, restarts),
    conditions: conditions(pod, false, now),
  }
}

/** The status of a pod whose containers ended and are started again. */
export function restartedStatus(pod: Pod, now: number): PodStatus {
  const status = runningStatus(pod, false, now)
  return {
    ...status,
    containerStatuses: (status.containerStatuses ?? []).map((one) => ({
      ...one,
      restartCount: one.restartCount + 1,
    })),
  }
}

function statuses(
  pod: Pod,
  state: ContainerStatus['state'],
  ready: boolean,
  restartCount: number,
): ContainerStatus[] {
  return pod.spec.containers.map(({ name, image = '' }) => ({
    name,
    image,
    imageID: image,
    ready,
    started: state?.running !== undefined,
    restartCount,
    ...(state ? { state } : {}),
  }))
}

function conditions(pod: Pod, ready: boolean, now: number): readonly PodCondition[] {
  const status = ready ? 'True' : 'False'
  const first = withCondition<PodCondition>(pod.status?.conditions, { type: 'Ready', status }, now)
  return withCondition<PodCondition>(first, { type: 'ContainersReady', status }, now)
}

/** An address that follows from the name: the same in each run. */
function addressOf(pod: Pod): string {
  let sum = 0
  for (const char of pod.metadata.name ?? '') sum = (sum * 31 + char.charCodeAt(0)) % 60_000
  return `10.210.${Math.floor(sum / 250)}.${(sum % 250) + 2}`
}
