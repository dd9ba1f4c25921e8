import { timeMs } from '../object/meta.ts'
import type { Container, Pod } from '../object/types.generated.ts'
import { retryAt } from './backoff.ts'
import { latestRuns, type Observed, type ObservedContainer, type PodMemory } from './observed.ts'

/** One thing to do for a pod. All steps of one plan are independent of each other; what depends on them is planned from what is seen after. */
export type Step =
  | { readonly do: 'pull'; readonly container: string; readonly image: string; readonly attempt: number }
  | { readonly do: 'prepare-volumes' }
  | { readonly do: 'make-sandbox' }
  /** Creates and starts; `id` of what was created but not started before. */
  | { readonly do: 'run'; readonly container: string; readonly attempt: number; readonly left?: string }
  | {
      readonly do: 'stop'
      readonly container: string
      readonly id: string
      readonly graceSeconds: number
      readonly why: string
    }
  /** An old run whose exit status nobody needs any more. */
  | { readonly do: 'remove'; readonly id: string }
  | { readonly do: 'remove-sandbox'; readonly id: string }
  | { readonly do: 'remove-volumes' }
  /** Nothing of the pod is left: the API object may go. */
  | { readonly do: 'finish' }

export interface PodPlan {
  readonly steps: readonly Step[]
  /** Look again at this time (ms). */
  readonly again?: number
}

/** Where a container is on its way; its status says the same. */
export type ContainerStage =
  | { readonly stage: 'blocked' }
  | { readonly stage: 'pull' | 'pulling' | 'run' }
  | { readonly stage: 'never-pulled' }
  | { readonly stage: 'pull-back-off' | 'run-back-off' | 'crash-back-off'; readonly until: number }
  | { readonly stage: 'running' | 'stopping' | 'done' | 'failed' }

/** Runs of one container that are kept, so that logs of the one before can be read. */
const keptRuns = 2
/** How long a sidecar gets at least, when the pod's time was used up by the others. */
const leastGraceSeconds = 2
/** After a failure that no change of an object will end, try again. */
const setupRetryMs = 5_000

/** The next steps for a pod. None means that it is as it should be, or waits for something. */
export function planPod(pod: Pod, observed: Observed, memory: PodMemory, now: number): PodPlan {
  const deadline = deadlineOf(pod)
  if (pod.metadata.deletionTimestamp) return planEnd(pod, observed, memory, now)
  if (isOver(pod) || (deadline !== undefined && now >= deadline)) return planStop(pod, observed, memory, now)
  const stages = stagesOf(pod, observed, memory, now)
  const times: number[] = deadline === undefined ? [] : [deadline]
  const steps: Step[] = []
  const latest = latestRuns(observed.containers)
  if ([...stages.values()].every(({ stage }) => stage === 'done' || stage === 'failed'))
    return planStop(pod, observed, memory, now)

  const blocked = memory.setupTrouble && now < memory.setupTrouble.at + setupRetryMs
  if (blocked && memory.setupTrouble) times.push(memory.setupTrouble.at + setupRetryMs)
  if (!blocked && !observed.volumesReady) steps.push({ do: 'prepare-volumes' })
  if (!blocked && !observed.sandbox && !isWaiting(observed)) steps.push({ do: 'make-sandbox' })
  for (const container of allContainers(pod)) {
    const stage = stages.get(container.name) ?? { stage: 'blocked' }
    const run = latest.get(container.name)
    const attempt = nextAttempt(run)
    if ('until' in stage) times.push(stage.until)
    if (stage.stage === 'pull')
      steps.push({ do: 'pull', container: container.name, image: container.image ?? '', attempt })
    if (stage.stage === 'run' && observed.volumesReady && observed.sandbox) {
      steps.push({
        do: 'run',
        container: container.name,
        attempt,
        ...(run?.status === 'created' ? { left: run.id } : {}),
      })
    }
    const why =
      run?.status === 'running' && !memory.stopping.has(run.id)
        ? reasonToStop(container, run, memory)
        : undefined
    if (run && why)
      steps.push({
        do: 'stop',
        container: container.name,
        id: run.id,
        graceSeconds: graceOf(pod, container, why),
        why,
      })
  }
  steps.push(...oldRuns(observed.containers))
  return times.length > 0 ? { steps, again: Math.min(...times) } : { steps }
}

/** Whether a pod that has not begun waits for others: its images are pulled meanwhile. */
export function isWaiting({ sandbox, unmet = [] }: Observed): boolean {
  return sandbox === undefined && unmet.length > 0
}

/** All containers in the order in which they start. */
export function allContainers(pod: Pod): readonly Container[] {
  return [...(pod.spec.initContainers ?? []), ...pod.spec.containers]
}

/**
 * Each container's stage. Init containers one after the other, each done before the next (a sidecar: started); then the others, all at
 * once. A pod whose own containers have run has been initialized, whatever became of the init containers' remains.
 */
export function stagesOf(
  pod: Pod,
  observed: Observed,
  memory: PodMemory,
  now: number,
): ReadonlyMap<string, ContainerStage> {
  const latest = latestRuns(observed.containers)
  const initialized = isInitialized(pod, observed, memory)
  const stages = new Map<string, ContainerStage>()
  let open = true
  for (const container of pod.spec.initContainers ?? []) {
    const run = latest.get(container.name)
    // A sandbox made anew, as after a restart of the machine, is initialized anew.
    const stale = run?.status === 'exited' && isOfBefore(run, observed)
    const sidecar = container.restartPolicy === 'Always'
    const policy = sidecar
      ? 'Always'
      : pod.spec.restartPolicy === 'Always'
        ? 'OnFailure'
        : (pod.spec.restartPolicy ?? 'OnFailure')
    if (!sidecar && initialized) stages.set(container.name, { stage: 'done' })
    else
      stages.set(
        container.name,
        open ? stageOf({ container, run, policy, stale }, observed, memory, now) : { stage: 'blocked' },
      )
    open &&= initialized || (!stale && isPassed(container, run, memory))
  }
  const initFailed = [...stages.values()].some(({ stage }) => stage === 'failed')
  for (const container of pod.spec.containers) {
    const run = latest.get(container.name)
    const policy = pod.spec.restartPolicy ?? 'Always'
    if (initFailed) stages.set(container.name, { stage: 'failed' })
    else
      stages.set(
        container.name,
        open
          ? stageOf({ container, run, policy, stale: false }, observed, memory, now)
          : { stage: 'blocked' },
      )
  }
  // When all that matters has ended, sidecars have nothing to serve.
  const ended = pod.spec.containers.every(({ name }) =>
    ['done', 'failed'].includes(stages.get(name)?.stage ?? ''),
  )
  if (ended)
    for (const { name } of pod.spec.initContainers ?? [])
      if (stages.get(name)?.stage !== 'failed') stages.set(name, { stage: 'done' })
  return stages
}

/** Whether the init containers have done their work. */
export function isInitialized(pod: Pod, observed: Observed, memory: PodMemory): boolean {
  const latest = latestRuns(observed.containers.filter((run) => !isOfBefore(run, observed)))
  // One that was made but never began says nothing: its sandbox may have been another.
  if (pod.spec.containers.some(({ name }) => latest.get(name)?.startedAt !== undefined)) return true
  return (pod.spec.initContainers ?? []).every((container) =>
    isPassed(container, latest.get(container.name), memory),
  )
}

/** Whether a run lived in a sandbox that is gone. */
function isOfBefore(run: ObservedContainer, { sandbox }: Observed): boolean {
  return sandbox !== undefined && run.startedAt !== undefined && run.startedAt < sandbox.createdAt
}

/** Whether the next init container may start. */
function isPassed(container: Container, run: ObservedContainer | undefined, memory: PodMemory): boolean {
  if (container.restartPolicy === 'Always')
    return run?.status === 'running' && isStarted(container, run, memory)
  return run?.status === 'exited' && run.exitCode === 0
}

/** Whether a running container's startup probe, if it has one, has succeeded. */
export function isStarted(container: Container, run: ObservedContainer, memory: PodMemory): boolean {
  return !container.startupProbe || memory.probes.get(run.id)?.startup?.result === 'success'
}

interface Situation {
  readonly container: Container
  readonly run: ObservedContainer | undefined
  readonly policy: string
  /** Its end does not count. */
  readonly stale: boolean
}

function stageOf(
  { container, run, policy, stale }: Situation,
  observed: Observed,
  memory: PodMemory,
  now: number,
): ContainerStage {
  if (run?.status === 'running') return { stage: memory.stopping.has(run.id) ? 'stopping' : 'running' }
  if (run?.status === 'exited' && !stale) {
    const restarts = policy === 'Always' || (policy === 'OnFailure' && run.exitCode !== 0)
    if (!restarts) return { stage: run.exitCode === 0 ? 'done' : 'failed' }
    const until = retryAt(memory.restarts.get(container.name), run.finishedAt ?? now)
    if (until > now) return { stage: 'crash-back-off', until }
  }
  const trouble = memory.runTroubles.get(container.name)
  if (trouble && trouble.at + setupRetryMs > now)
    return { stage: 'run-back-off', until: trouble.at + setupRetryMs }
  return imageStage(container, nextAttempt(run), observed, memory, now) ?? { stage: 'run' }
}

/** What the image needs before a run; nothing when it is there as the policy wants it. */
function imageStage(
  container: Container,
  attempt: number,
  observed: Observed,
  memory: PodMemory,
  now: number,
): ContainerStage | undefined {
  const image = container.image ?? ''
  const here = observed.images.has(image)
  const fresh = memory.pulled.get(container.name) === attempt
  if (here && (container.imagePullPolicy !== 'Always' || fresh)) return undefined
  if (container.imagePullPolicy === 'Never') return { stage: 'never-pulled' }
  if (memory.pulling.has(image)) return { stage: 'pulling' }
  const trouble = memory.pullTroubles.get(image)
  const until = trouble ? retryAt(trouble.backOff, trouble.at) : now
  return until > now ? { stage: 'pull-back-off', until } : { stage: 'pull' }
}

function nextAttempt(run: ObservedContainer | undefined): number {
  if (!run) return 0
  return run.status === 'created' ? run.attempt : run.attempt + 1
}

/** Why a running container must be stopped, in the words of its event. */
function reasonToStop(container: Container, run: ObservedContainer, memory: PodMemory): string | undefined {
  const probes = memory.probes.get(run.id)
  if (run.image !== container.image)
    return `Container ${container.name} definition changed, will be restarted`
  if (probes?.startup?.result === 'failure')
    return `Container ${container.name} failed startup probe, will be restarted`
  if (probes?.liveness?.result === 'failure')
    return `Container ${container.name} failed liveness probe, will be restarted`
  return undefined
}

function graceOf(pod: Pod, container: Container, why: string): number {
  const probe = why.includes('startup probe')
    ? container.startupProbe
    : why.includes('liveness probe')
      ? container.livenessProbe
      : undefined
  return probe?.terminationGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30
}

function isOver(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
}

/** When the pod has been active for too long. */
export function deadlineOf(pod: Pod): number | undefined {
  const start = timeMs(pod.status?.startTime)
  const { activeDeadlineSeconds } = pod.spec
  return start === undefined || activeDeadlineSeconds === undefined
    ? undefined
    : start + activeDeadlineSeconds * 1000
}

/** Stops what runs, the sidecars after the others; gives the sandbox back. Ended containers stay, for their logs. */
function planStop(pod: Pod, observed: Observed, memory: PodMemory, now: number): PodPlan {
  const running = observed.containers.filter((run) => run.status === 'running')
  if (running.length > 0) return stopAll(pod, running, memory, now)
  const steps: Step[] = observed.sandbox ? [{ do: 'remove-sandbox', id: observed.sandbox.id }] : []
  return { steps: [...steps, ...oldRuns(observed.containers)] }
}

/** Stops what runs, then removes all there is, then says so. */
function planEnd(pod: Pod, observed: Observed, memory: PodMemory, now: number): PodPlan {
  const running = observed.containers.filter((run) => run.status === 'running')
  if (running.length > 0) return stopAll(pod, running, memory, now)
  if (observed.containers.length > 0)
    return { steps: observed.containers.map(({ id }): Step => ({ do: 'remove', id })) }
  if (observed.sandbox) return { steps: [{ do: 'remove-sandbox', id: observed.sandbox.id }] }
  if (observed.volumesReady) return { steps: [{ do: 'remove-volumes' }] }
  return { steps: [{ do: 'finish' }] }
}

function stopAll(pod: Pod, running: readonly ObservedContainer[], memory: PodMemory, now: number): PodPlan {
  const sidecars = (pod.spec.initContainers ?? [])
    .filter((c) => c.restartPolicy === 'Always')
    .map((c) => c.name)
  const others = running.filter((run) => !sidecars.includes(run.name))
  // Sidecars end in the reverse of the order in which they began, when nobody needs them any more.
  const last = [...sidecars].reverse().find((name) => running.some((run) => run.name === name))
  const due = others.length > 0 ? others : running.filter((run) => run.name === last)
  const whole = pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30
  const begun = timeMs(pod.metadata.deletionTimestamp)
  const used = begun === undefined || others.length > 0 ? 0 : Math.max(0, (now - begun) / 1000)
  const graceSeconds = whole === 0 ? 0 : Math.max(leastGraceSeconds, Math.ceil(whole - used))
  const steps = due
    .filter((run) => !memory.stopping.has(run.id))
    .map(
      (run): Step => ({
        do: 'stop',
        container: run.name,
        id: run.id,
        graceSeconds,
        why: `Stopping container ${run.name}`,
      }),
    )
  return { steps }
}

/** Runs before the last two of each container. */
function oldRuns(containers: readonly ObservedContainer[]): readonly Step[] {
  return containers
    .filter(
      (run) =>
        containers.filter((other) => other.name === run.name && other.attempt > run.attempt).length >=
        keptRuns,
    )
    .map(({ id }): Step => ({ do: 'remove', id }))
}
