import type { Clock } from '../../base/host/clock.ts'
import type { Container, Pod, Probe } from '../../object/types.generated.ts'
import { latestRuns, type Observed, type ObservedContainer, type PodMemory } from '../observed.ts'
import { allContainers } from '../plan.ts'
import type { ContainerEngine, PodReporter } from '../ports.ts'
import { activeProbes, afterOutcome, dueAt, type ProbeKind, untried } from '../probe.ts'
import { tryHandler } from './probes.ts'

export interface ProberOptions {
  readonly engine: ContainerEngine
  readonly reporter: PodReporter
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** `turned`: a probe's result is another one now, so the pod must be looked at. */
type Remember = (change: (memory: PodMemory) => PodMemory, turned: boolean) => void

interface Worker {
  readonly podUid: string
  timer: NodeJS.Timeout | undefined
  /** What is true of the pod now. */
  current: { readonly pod: Pod; readonly run: ObservedContainer; readonly observed: Observed }
}

const titles: Readonly<Record<ProbeKind, string>> = {
  startup: 'Startup',
  readiness: 'Readiness',
  liveness: 'Liveness',
}

/** Tries the probes of running containers at their times, one try of a probe at a time, and remembers what came out. */
export class Prober implements AsyncDisposable {
  readonly #options: ProberOptions
  readonly #workers = new Map<string, Worker>()
  readonly #tries = new Set<Promise<void>>()

  constructor(options: ProberOptions) {
    this.#options = options
  }

  /** Takes up the probes of a pod's containers that run, and gives up those of containers that do not. */
  watch(pod: Pod, observed: Observed, memory: () => PodMemory, remember: Remember): void {
    const wanted = new Set<string>()
    const latest = latestRuns(observed.containers)
    for (const container of allContainers(pod)) {
      const run = latest.get(container.name)
      if (run?.status !== 'running' || memory().stopping.has(run.id) || pod.metadata.deletionTimestamp)
        continue
      for (const [kind, probe] of activeProbes(container, memory().probes.get(run.id) ?? {})) {
        const key = `${run.id} ${kind}`
        wanted.add(key)
        const known = this.#workers.get(key)
        const current = { pod, run, observed }
        if (known) known.current = current
        else
          this.#begin(
            key,
            { podUid: pod.metadata.uid ?? '', timer: undefined, current },
            { container, kind, probe, memory, remember },
          )
      }
    }
    for (const [key, worker] of this.#workers) {
      if (worker.podUid === pod.metadata.uid && !wanted.has(key)) this.#end(key, worker)
    }
  }

  forget(podUid: string): void {
    for (const [key, worker] of this.#workers) if (worker.podUid === podUid) this.#end(key, worker)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const [key, worker] of this.#workers) this.#end(key, worker)
    await Promise.allSettled(this.#tries)
  }

  #end(key: string, worker: Worker): void {
    clearTimeout(worker.timer)
    this.#workers.delete(key)
  }

  #begin(key: string, worker: Worker, task: Task): void {
    this.#workers.set(key, worker)
    this.#schedule(key, worker, task)
  }

  #schedule(key: string, worker: Worker, task: Task): void {
    const state = task.memory().probes.get(worker.current.run.id)?.[task.kind] ?? untried
    const due = dueAt(task.probe, state, worker.current.run.startedAt ?? 0)
    worker.timer = setTimeout(
      () => {
        const attempt = this.#try(key, worker, task).finally(() => this.#tries.delete(attempt))
        this.#tries.add(attempt)
      },
      Math.max(0, due - this.#options.clock.now()),
    )
    worker.timer.unref()
  }

  async #try(key: string, worker: Worker, task: Task): Promise<void> {
    const { engine, clock, signal, reporter } = this.#options
    const { pod, run, observed } = worker.current
    const { container, kind, probe } = task
    const target = { pod, container, containerId: run.id, address: observed.sandbox?.address || '127.0.0.1' }
    const outcome = await tryHandler(probe, target, {
      engine,
      timeoutMs: (probe.timeoutSeconds ?? 1) * 1000,
      signal,
    })
    // What ended or was replaced meanwhile does not count any more.
    if (signal.aborted || this.#workers.get(key) !== worker) return
    if (!outcome.good) {
      const init = pod.spec.initContainers?.some((one) => one.name === container.name)
      reporter.record(pod, {
        type: 'Warning',
        reason: 'Unhealthy',
        message: `${titles[kind]} probe failed: ${outcome.message}`,
        fieldPath: `spec.${init ? 'initContainers' : 'containers'}{${container.name}}`,
      })
    }
    const states = task.memory().probes.get(run.id) ?? {}
    const before = states[kind] ?? untried
    const after = afterOutcome(probe, before, outcome.good, clock.now())
    const change = (memory: PodMemory): PodMemory => ({
      ...memory,
      probes: new Map([...memory.probes, [run.id, { ...memory.probes.get(run.id), [kind]: after }]]),
    })
    task.remember(change, before.result !== after.result)
    if (this.#workers.get(key) === worker) this.#schedule(key, worker, task)
  }
}

interface Task {
  readonly container: Container
  readonly kind: ProbeKind
  readonly probe: Probe
  readonly memory: () => PodMemory
  readonly remember: Remember
}
