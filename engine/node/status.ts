import { withCondition } from '../object/conditions.ts'
import { timeText } from '../object/meta.ts'
import type {
  Container,
  ContainerState,
  ContainerStatus,
  Pod,
  PodCondition,
  PodStatus,
} from '../object/types.generated.ts'
import { delayText } from './backoff.ts'
import { latestRuns, type Observed, type ObservedContainer, type PodMemory } from './observed.ts'
import { type ContainerStage, deadlineOf, isInitialized, isStarted, isWaiting, stagesOf } from './plan.ts'
import { qualityOf } from './settings.ts'

/** The status of a pod from what is seen of it; equal when nothing changed. */
export function statusOf(
  pod: Pod,
  observed: Observed,
  memory: PodMemory,
  context: { readonly hostAddress: string; readonly now: number },
): PodStatus {
  const { now, hostAddress } = context
  const before = pod.status
  const stages = stagesOf(pod, observed, memory, now)
  const latest = latestRuns(observed.containers)
  const one = (container: Container) =>
    containerStatus(pod, container, { observed, memory, stage: stages.get(container.name), latest })
  const containers = pod.spec.containers.map(one)
  const inits = (pod.spec.initContainers ?? []).map(one)
  const initialized = isInitialized(pod, observed, memory)
  const deadline = deadlineOf(pod)
  const late = deadline !== undefined && now >= deadline
  const running = observed.containers.some((run) => run.status === 'running')
  const phase = late && !running ? 'Failed' : phaseOf(pod, stages, { containers, initialized, running })
  const address = observed.sandbox ? observed.sandbox.address || hostAddress : before?.podIP
  return {
    ...before,
    phase,
    ...(late
      ? {
          reason: 'DeadlineExceeded',
          message: 'Pod was active on the node longer than the specified deadline',
        }
      : {}),
    hostIP: hostAddress,
    hostIPs: [{ ip: hostAddress }],
    ...(address ? { podIP: address, podIPs: [{ ip: address }] } : {}),
    startTime: before?.startTime ?? timeText(now),
    qosClass: qualityOf(pod),
    conditions: conditionsOf(
      pod,
      { phase, containers, inits, initialized, sandbox: observed.sandbox !== undefined },
      now,
    ),
    ...(inits.length > 0 ? { initContainerStatuses: inits } : {}),
    containerStatuses: containers,
    observedGeneration: pod.metadata.generation ?? 1,
  }
}

interface Facts {
  readonly observed: Observed
  readonly memory: PodMemory
  readonly stage: ContainerStage | undefined
  readonly latest: ReadonlyMap<string, ObservedContainer>
}

function containerStatus(
  pod: Pod,
  container: Container,
  { observed, memory, stage, latest }: Facts,
): ContainerStatus {
  const run = latest.get(container.name)
  const all = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])]
  const before = all.find((status) => status.name === container.name)
  // What was removed with the pod's end is told as it was last.
  if (!run && before?.state?.terminated)
    return {
      ...before,
      ready: isInit(pod, container) && before.state.terminated.exitCode === 0,
      started: false,
    }
  // It ended and was removed between two reports: kubelet's words, so that it does not look like one to come.
  if (!run && before?.state?.running && pod.metadata.deletionTimestamp)
    return { ...before, ready: false, started: false, state: { terminated: lost } }
  const previous = observed.containers.find(
    (other) => other.name === container.name && other.attempt === (run?.attempt ?? 0) - 1,
  )
  const waiting =
    run?.status === 'running' ? undefined : waitingState(pod, container, { observed, stage, memory, run })
  const ended = run?.status === 'exited' ? { terminated: terminated(run) } : undefined
  const state: ContainerState =
    run?.status === 'running'
      ? { running: { startedAt: timeText(run.startedAt ?? 0) } }
      : (waiting ?? ended ?? { waiting: { reason: 'ContainerCreating' } })
  const last =
    waiting && ended
      ? ended
      : previous?.status === 'exited'
        ? { terminated: terminated(previous) }
        : (before?.lastState ?? {})
  const started = run?.status === 'running' && isStarted(container, run, memory)
  return {
    name: container.name,
    image: container.image ?? '',
    imageID: run?.imageId ?? observed.images.get(container.image ?? '')?.id ?? '',
    ...(run ? { containerID: `berth://${run.id}` } : {}),
    ready: isReady(pod, container, { run, started, memory }),
    started,
    restartCount: run?.attempt ?? before?.restartCount ?? 0,
    state,
    lastState: last,
  }
}

const lost = {
  exitCode: 137,
  reason: 'ContainerStatusUnknown',
  message: 'The container could not be located when the pod was terminated',
}

function isInit(pod: Pod, container: Container): boolean {
  return pod.spec.initContainers?.includes(container) === true && container.restartPolicy !== 'Always'
}

function isReady(
  pod: Pod,
  container: Container,
  { run, started, memory }: { run: ObservedContainer | undefined; started: boolean; memory: PodMemory },
): boolean {
  if (isInit(pod, container)) return run?.status === 'exited' && run.exitCode === 0
  if (!run || !started || memory.stopping.has(run.id)) return false
  return !container.readinessProbe || memory.probes.get(run.id)?.readiness?.result === 'success'
}

/** Why a container does not run, if it is to run. */
function waitingState(
  pod: Pod,
  container: Container,
  { observed, stage, memory, run }: Omit<Facts, 'latest'> & { readonly run: ObservedContainer | undefined },
): ContainerState | undefined {
  const waiting = (reason: string, message?: string) => ({
    waiting: { reason, ...(message ? { message } : {}) },
  })
  const where = `${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`
  const image = container.image ?? ''
  const pull = memory.pullTroubles.get(image)
  if (isWaiting(observed) && (stage?.stage === 'run' || stage?.stage === 'blocked'))
    return waiting('WaitingForNeeds', `waits for ${observed.unmet?.join(' and ')} to be ready`)
  switch (stage?.stage) {
    case 'done':
    case 'failed':
      return run ? undefined : waiting('PodInitializing')
    case 'crash-back-off': {
      const delay = delayText(memory.restarts.get(container.name)?.delayMs ?? 0)
      return waiting(
        'CrashLoopBackOff',
        `back-off ${delay} restarting failed container=${container.name} pod=${where}`,
      )
    }
    case 'run-back-off': {
      const trouble = memory.runTroubles.get(container.name)
      return waiting(trouble?.reason ?? 'CreateContainerError', trouble?.message)
    }
    case 'never-pulled':
      return waiting(
        'ErrImageNeverPull',
        `Container image "${image}" is not present with pull policy of Never`,
      )
    case 'pull-back-off':
      return waiting(
        'ImagePullBackOff',
        `Back-off pulling image "${image}": ${pull?.reason ?? ''}: ${pull?.message ?? ''}`,
      )
    case 'pull':
      return pull ? waiting(pull.reason, pull.message) : waiting('ContainerCreating')
    case 'blocked':
      return waiting('PodInitializing')
    default:
      // While it tries again the last failure is still what is known.
      if (stage?.stage === 'pulling' && pull) return waiting(pull.reason, pull.message)
      // Between the end of a run and the next one the state stays that end.
      return run?.status === 'exited' ? undefined : waiting('ContainerCreating')
  }
}

function terminated(run: ObservedContainer): NonNullable<ContainerState['terminated']> {
  return {
    exitCode: run.exitCode,
    reason: run.oomKilled ? 'OOMKilled' : run.exitCode === 0 ? 'Completed' : 'Error',
    ...(run.message ? { message: run.message } : {}),
    startedAt: timeText(run.startedAt ?? 0),
    finishedAt: timeText(run.finishedAt ?? 0),
    containerID: `berth://${run.id}`,
  }
}

function phaseOf(
  pod: Pod,
  stages: ReadonlyMap<string, ContainerStage>,
  {
    containers,
    initialized,
    running,
  }: { containers: readonly ContainerStatus[]; initialized: boolean; running: boolean },
): string {
  const before = pod.status?.phase
  if (before === 'Succeeded' || before === 'Failed') return before
  const initFailed = (pod.spec.initContainers ?? []).some(({ name }) => stages.get(name)?.stage === 'failed')
  const all = containers.map(({ name }) => stages.get(name)?.stage ?? 'blocked')
  if (pod.metadata.deletionTimestamp && !running) {
    const codes = containers.map(
      (status) => status.state?.terminated?.exitCode ?? status.lastState?.terminated?.exitCode,
    )
    if (codes.some((code) => code !== undefined))
      return codes.every((code) => code === 0) ? 'Succeeded' : 'Failed'
    return 'Failed'
  }
  if (initFailed && !running) return 'Failed'
  if (!initialized) return 'Pending'
  if (all.every((stage) => stage === 'done') && !running) return 'Succeeded'
  if (all.every((stage) => stage === 'done' || stage === 'failed') && !running) return 'Failed'
  const neverRan = containers.some((status) => status.state?.waiting && !status.lastState?.terminated)
  return neverRan ? 'Pending' : 'Running'
}

interface Summary {
  readonly phase: string
  readonly containers: readonly ContainerStatus[]
  readonly inits: readonly ContainerStatus[]
  readonly initialized: boolean
  readonly sandbox: boolean
}

function conditionsOf(
  pod: Pod,
  { phase, containers, inits, initialized, sandbox }: Summary,
  now: number,
): readonly PodCondition[] {
  const names = (list: readonly ContainerStatus[]) => list.map((status) => status.name).join(' ')
  const sidecars = inits.filter((_, i) => pod.spec.initContainers?.[i]?.restartPolicy === 'Always')
  const unready = [...sidecars, ...containers].filter((status) => !status.ready)
  const pending = inits.filter((status) => !status.ready && !sidecars.includes(status))
  const completed = phase === 'Succeeded' ? { reason: 'PodCompleted' } : {}
  const state = (type: string, good: boolean, reason: string, message: string) =>
    good
      ? { type, status: 'True', ...(type === 'Initialized' ? completed : {}) }
      : { type, status: 'False', reason, message }
  const lacking = `containers with unready status: [${names(unready)}]`
  const unreadyReason =
    phase === 'Succeeded' ? 'PodCompleted' : phase === 'Failed' ? 'PodFailed' : 'ContainersNotReady'
  const gates = (pod.spec.readinessGates ?? []).filter(
    (gate) => !pod.status?.conditions?.some((c) => c.type === gate.conditionType && c.status === 'True'),
  )
  const ready = unready.length === 0 && phase === 'Running'
  const wanted = [
    { type: 'PodReadyToStartContainers', status: sandbox ? 'True' : 'False' },
    state(
      'Initialized',
      initialized || phase === 'Succeeded',
      'ContainersNotInitialized',
      `containers with incomplete status: [${names(pending)}]`,
    ),
    state(
      'Ready',
      ready && gates.length === 0,
      ready ? 'ReadinessGatesNotReady' : unreadyReason,
      ready
        ? `corresponding condition of pod readiness gate "${gates[0]?.conditionType}" does not exist.`
        : lacking,
    ),
    state('ContainersReady', ready, unreadyReason, lacking),
    { type: 'PodScheduled', status: 'True' },
  ]
  return wanted.reduce<readonly PodCondition[]>(
    (all, condition) => withCondition<PodCondition>(all, condition, now),
    pod.status?.conditions ?? [],
  )
}
