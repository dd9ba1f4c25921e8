import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BerthError, messageOf } from '../../base/error.ts'
import type { Clock } from '../../base/host/clock.ts'
import type { MountSetting } from '../../container/container.ts'
import type { Container, LifecycleHandler, Pod } from '../../object/types.generated.ts'
import { afterRetry, tookText } from '../backoff.ts'
import { type EnvContext, MissingReference } from '../env.ts'
import type { Observed, PodMemory } from '../observed.ts'
import { allContainers, type Step } from '../plan.ts'
import type { ContainerEngine, ImageEngine, PodCgroups, PodReporter, SandboxEngine } from '../ports.ts'
import { hostnameOf, type NodeSettings, planContainer } from '../settings.ts'
import { planVolumes, type VolumePlan } from '../volumes.ts'
import { messageFile, sandboxId } from './observe.ts'
import { logFolderOf } from './pod-logs.ts'
import type { PodVolumes } from './pod-volumes.ts'
import { tryHandler } from './probes.ts'

export interface StepEngines {
  readonly engine: ContainerEngine
  readonly sandboxes: SandboxEngine
  readonly cgroups: PodCgroups
  readonly images: ImageEngine
  readonly volumes: PodVolumes
  readonly reporter: PodReporter
  readonly clock: Clock
  readonly settings: NodeSettings
  /** `ROOT/logs`. */
  readonly logs: string
}

export interface StepContext {
  readonly pod: Pod
  readonly observed: Observed
  readonly env: EnvContext
  memory(): PodMemory
  /** Changes what is remembered of the pod. */
  remember(change: (memory: PodMemory) => PodMemory): void
  readonly signal: AbortSignal
}

type Executors = {
  readonly [K in Step['do']]: (
    engines: StepEngines,
    step: Extract<Step, { readonly do: K }>,
    context: StepContext,
  ) => Promise<void>
}

/** Carries out a step. What goes wrong is remembered and told in an event; it never rejects but when it was aborted. */
export function execute(engines: StepEngines, step: Step, context: StepContext): Promise<void> {
  const executor = executors[step.do] as (
    engines: StepEngines,
    step: Step,
    context: StepContext,
  ) => Promise<void>
  return executor(engines, step, context)
}

/** Steps that may take long: the pod is planned again while they go on. */
export const longSteps: readonly Step['do'][] = ['pull', 'stop']

const executors: Executors = {
  pull: async (engines, { container, image, attempt }, context) => {
    const { reporter, clock, images } = engines
    const tell = (type: 'Normal' | 'Warning', reason: string, message: string) =>
      reporter.record(context.pod, { type, reason, message, fieldPath: fieldOf(context.pod, container) })
    context.remember((memory) => ({ ...memory, pulling: new Set([...memory.pulling, image]) }))
    const begun = clock.now()
    tell('Normal', 'Pulling', `Pulling image "${image}"`)
    try {
      await images.pull(image, { signal: context.signal })
      const took = tookText(clock.now() - begun)
      const { sizeBytes } = images.get(image) ?? {}
      const size = sizeBytes === undefined ? '' : ` Image size: ${sizeBytes} bytes.`
      const message = `Successfully pulled image "${image}" in ${took} (${took} including waiting).${size}`
      tell('Normal', 'Pulled', message)
      context.remember((memory) => ({
        ...memory,
        pulled: new Map([...memory.pulled, [container, attempt]]),
        pullTroubles: without(memory.pullTroubles, image),
      }))
    } catch (error) {
      const message = `failed to pull image "${image}": ${messageOf(error)}`
      if (!context.signal.aborted) {
        tell('Warning', 'Failed', `Failed to pull image "${image}": ${messageOf(error)}`)
        tell('Warning', 'Failed', 'Error: ErrImagePull')
      }
      context.remember((memory) => {
        const before = memory.pullTroubles.get(image)
        // Each failure makes the next wait longer: a failed pull is a try of its own.
        const trouble = {
          reason: 'ErrImagePull',
          message,
          at: clock.now(),
          backOff: afterRetry(before?.backOff, clock.now()),
        }
        return { ...memory, pullTroubles: new Map([...memory.pullTroubles, [image, trouble]]) }
      })
    } finally {
      context.remember((memory) => ({
        ...memory,
        pulling: new Set([...memory.pulling].filter((one) => one !== image)),
      }))
    }
  },

  'prepare-volumes': (engines, _, context) =>
    setUp(engines, context, 'FailedMount', async () => {
      await engines.volumes.prepare(context.pod, volumePlans(context))
    }),

  'make-sandbox': (engines, _, context) =>
    setUp(engines, context, 'FailedCreatePodSandBox', async () => {
      const { pod, observed } = context
      if (observed.containers.some((run) => run.startedAt !== undefined)) {
        const message = 'Pod sandbox changed, it will be killed and re-created.'
        engines.reporter.record(pod, { type: 'Normal', reason: 'SandboxChanged', message })
      }
      await engines.sandboxes.create({
        id: sandboxId(pod),
        hostname: hostnameOf(pod),
        own: [
          ...(pod.spec.hostNetwork ? [] : (['net', 'uts'] as const)),
          ...(pod.spec.hostIPC ? [] : (['ipc'] as const)),
          ...(pod.spec.shareProcessNamespace && !pod.spec.hostPID ? (['pid'] as const) : []),
        ],
        sharedMemory: !pod.spec.hostIPC,
        cgroupParent: pod.metadata.uid ?? '',
        networks: pod.spec.hostNetwork ? [] : [{ name: 'bridge', aliases: [] }],
        ports: pod.spec.hostNetwork ? [] : hostPortsOf(pod),
        sysctls: Object.fromEntries(
          (pod.spec.securityContext?.sysctls ?? []).map(({ name, value }) => [name, value]),
        ),
      })
    }),

  run: async (engines, { container: name, attempt, left }, context) => {
    const { pod, observed } = context
    const container = allContainers(pod).find((one) => one.name === name)
    const image = observed.images.get(container?.image ?? '')
    if (!container || !image || !observed.sandbox) return
    const tell = (type: 'Normal' | 'Warning', reason: string, message: string) =>
      engines.reporter.record(pod, { type, reason, message, fieldPath: fieldOf(pod, name) })
    const trouble = (reason: string, message: string) => {
      const entry = { reason, message, at: engines.clock.now() }
      context.remember((memory) => ({
        ...memory,
        runTroubles: new Map([...memory.runTroubles, [name, entry]]),
      }))
    }
    const request = { sandboxId: observed.sandbox.id, attempt, image, node: engines.settings }
    const planned = planContainer(container, context.env, request)
    if (planned instanceof MissingReference) return trouble('CreateContainerConfigError', planned.message)
    if (attempt > 0) {
      context.remember((memory) => {
        const next = afterRetry(memory.restarts.get(name), engines.clock.now())
        return { ...memory, restarts: new Map([...memory.restarts, [name, next]]) }
      })
    }
    let id = left
    if (!id && context.memory().pulled.get(name) !== attempt)
      tell('Normal', 'Pulled', `Container image "${container.image}" already present on machine`)
    try {
      if (!id) {
        const mounts = await mountsOf(engines, context, container, { attempt, planned })
        const path = join(logFolderOf(engines.logs, pod), name, `${attempt}.log`)
        await mkdir(dirname(path), { recursive: true, mode: 0o755 })
        const log = { ...engines.settings.log, path }
        id = (await engines.engine.create({ ...planned.settings, mounts, log }, context.signal)).id
        tell('Normal', 'Created', `Created container: ${name}`)
      }
    } catch (error) {
      if (!context.signal.aborted) tell('Warning', 'Failed', `Error: ${messageOf(error)}`)
      return trouble('CreateContainerError', messageOf(error))
    }
    try {
      await engines.engine.start(id, context.signal)
    } catch (error) {
      // A sandbox that was lost meanwhile is made anew, and this container in it.
      if (!engines.sandboxes.list().some((one) => one.id === observed.sandbox?.id && one.opened)) return
      if (!context.signal.aborted) tell('Warning', 'Failed', `Error: ${messageOf(error)}`)
      return trouble('RunContainerError', messageOf(error))
    }
    tell('Normal', 'Started', `Started container ${name}`)
    context.remember((memory) => ({ ...memory, runTroubles: without(memory.runTroubles, name) }))
    const failure = await runHook(engines, context, { container, id, hook: container.lifecycle?.postStart })
    if (failure === undefined) return
    tell('Warning', 'FailedPostStartHook', `PostStartHook failed: ${failure}`)
    await engines.engine.stop(
      id,
      { timeoutSeconds: pod.spec.terminationGracePeriodSeconds ?? 30 },
      context.signal,
    )
  },

  stop: async (engines, { container: name, id, graceSeconds, why }, context) => {
    const { pod } = context
    const container = allContainers(pod).find((one) => one.name === name)
    context.remember((memory) => ({ ...memory, stopping: new Set([...memory.stopping, id]) }))
    engines.reporter.record(pod, {
      type: 'Normal',
      reason: 'Killing',
      message: why,
      fieldPath: fieldOf(pod, name),
    })
    try {
      const begun = engines.clock.now()
      const hook = graceSeconds > 0 ? container?.lifecycle?.preStop : undefined
      const failure =
        container &&
        (await runHook(engines, context, { container, id, hook, timeoutMs: graceSeconds * 1000 }))
      if (failure !== undefined) {
        const message = `PreStopHook failed: ${failure}`
        engines.reporter.record(pod, {
          type: 'Warning',
          reason: 'FailedPreStopHook',
          message,
          fieldPath: fieldOf(pod, name),
        })
      }
      const left = Math.max(
        graceSeconds > 0 ? 2 : 0,
        graceSeconds - Math.floor((engines.clock.now() - begun) / 1000),
      )
      await engines.engine.stop(id, { timeoutSeconds: left }, context.signal)
    } catch (error) {
      // One that has ended is remembered until it is seen to have ended: else it would be stopped twice.
      context.remember((memory) => ({
        ...memory,
        stopping: new Set([...memory.stopping].filter((one) => one !== id)),
      }))
      throw error
    }
  },

  remove: (engines, { id }) => engines.engine.remove(id, { force: true, volumes: true }),
  'remove-sandbox': async (engines, { id }, { pod }) => {
    await engines.sandboxes.remove(id)
    await engines.cgroups.remove(pod.metadata.uid ?? '')
  },
  'remove-volumes': (engines, _, { pod }) => engines.volumes.remove(pod.metadata.uid ?? ''),
  finish: async ({ volumes, logs, reporter }, _, { pod }) => {
    // Also what was half made: no other step saw it.
    await volumes.remove(pod.metadata.uid ?? '')
    await rm(logFolderOf(logs, pod), { recursive: true, force: true })
    await reporter.finish(pod)
  },
}

/** A step before containers: a failure is told, remembered, and tried again after a while. */
async function setUp(
  engines: StepEngines,
  context: StepContext,
  reason: string,
  run: () => Promise<void>,
): Promise<void> {
  try {
    await run()
    context.remember((memory) => ({ ...memory, setupTrouble: undefined }))
  } catch (error) {
    if (context.signal.aborted) return
    const what = reason === 'FailedCreatePodSandBox' ? 'Failed to create pod sandbox: ' : ''
    const message = what + messageOf(error)
    engines.reporter.record(context.pod, { type: 'Warning', reason, message })
    context.remember((memory) => ({ ...memory, setupTrouble: { reason, message, at: engines.clock.now() } }))
  }
}

function volumePlans({ env }: StepContext): readonly VolumePlan[] {
  const plans = planVolumes(env)
  if (plans instanceof MissingReference) throw new BerthError('NOT_FOUND', plans.message)
  return plans
}

async function mountsOf(
  engines: StepEngines,
  context: StepContext,
  container: Container,
  {
    attempt,
    planned,
  }: { attempt: number; planned: Exclude<ReturnType<typeof planContainer>, MissingReference> },
): Promise<readonly MountSetting[]> {
  const plans = volumePlans(context)
  const mounts: MountSetting[] = []
  for (const mount of planned.mounts) {
    const plan = plans.find((one) => one.name === mount.volume)
    if (!plan) continue
    // As kubelet has it: what is made from objects is the node's to write, nobody else's.
    const readOnly = mount.readOnly || plan.kind === 'files' || (plan.kind === 'claim' && plan.readOnly)
    mounts.push({
      kind: 'bind',
      source: await engines.volumes.pathOf(context.pod, plan),
      ...(mount.subPath && { subPath: mount.subPath, createSource: plan.kind !== 'files' }),
      target: mount.target,
      readOnly,
      propagation: mount.propagation === 'private' ? 'rprivate' : mount.propagation,
    })
  }
  const file = messageFile(engines.volumes.folderOf(context.pod), container.name, attempt)
  await mkdir(dirname(file), { recursive: true, mode: 0o755 })
  await writeFile(file, '', { mode: 0o666 })
  return [...mounts, { kind: 'bind', source: file, target: planned.terminationMessagePath, readOnly: false }]
}

/** Runs a hook to its end. Gives what went wrong, or nothing. */
async function runHook(
  engines: StepEngines,
  { pod, observed, signal }: StepContext,
  run: { container: Container; id: string; hook: LifecycleHandler | undefined; timeoutMs?: number },
): Promise<string | undefined> {
  if (!run.hook) return undefined
  const timeoutMs = run.timeoutMs ?? 3_600_000
  if (run.hook.sleep) {
    await new Promise((resolve) =>
      setTimeout(resolve, Math.min(timeoutMs, (run.hook?.sleep?.seconds ?? 0) * 1000)),
    )
    return undefined
  }
  const target = {
    pod,
    container: run.container,
    containerId: run.id,
    address: observed.sandbox?.address || '127.0.0.1',
  }
  const outcome = await tryHandler(run.hook, target, { engine: engines.engine, timeoutMs, signal })
  return outcome.good ? undefined : outcome.message
}

function hostPortsOf(pod: Pod) {
  const ports = allContainers(pod).flatMap((container) => container.ports ?? [])
  return ports.flatMap(({ hostPort, hostIP = '', containerPort, protocol = 'TCP' }) =>
    hostPort
      ? [
          {
            hostIp: hostIP,
            hostPort,
            containerPort,
            protocol: protocol.toLowerCase() as 'tcp' | 'udp' | 'sctp',
          },
        ]
      : [],
  )
}

function fieldOf(pod: Pod, container: string): string {
  const init = pod.spec.initContainers?.some((one) => one.name === container)
  return `spec.${init ? 'initContainers' : 'containers'}{${container}}`
}

function without<V>(map: ReadonlyMap<string, V>, key: string): ReadonlyMap<string, V> {
  return new Map([...map].filter(([name]) => name !== key))
}
