import { expect } from 'vitest'
import { defaultPod } from '../object/defaults/pod.ts'
import { timeText } from '../object/meta.ts'
import { podReady, podStatus } from '../object/pod-summary.ts'
import type { Pod, PodStatus } from '../object/types.generated.ts'
import { afterRetry } from './backoff.ts'
import { eventsOf } from './events.ts'
import { noMemory, type Observed, type ObservedContainer, type PodMemory } from './observed.ts'
import { allContainers, planPod, type Step } from './plan.ts'
import { afterOutcome, type ProbeKind, untried } from './probe.ts'
import { statusOf } from './status.ts'

/** How a container of the test machine behaves: it ends by itself after a time, or it does not. */
export interface Program {
  readonly runMs?: number
  readonly exitCode?: number
  readonly pullFails?: number
  readonly runFails?: string
}

/** A machine without effects: it does what the planner says, on a clock of its own. */
export class Machine {
  now = Date.parse('2026-01-01T00:00:00Z')
  readonly log: string[] = []
  readonly statuses: string[] = []
  finished = false
  /** The daemon is killed after this step: what it remembered is gone. */
  forgetAfter = Number.POSITIVE_INFINITY
  #steps = 0
  pod: Pod
  memory: PodMemory = noMemory
  observed: Observed = { sandbox: undefined, containers: [], images: new Map(), volumesReady: false }
  readonly #programs: Readonly<Record<string, Program>>
  readonly #pulls = new Map<string, number>()

  constructor(spec: object, programs: Readonly<Record<string, Program>> = {}) {
    this.#programs = programs
    const metadata = { name: 'p', namespace: 'shop', uid: 'u', generation: 1 }
    this.pod = defaultPod({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      spec: { nodeName: 'here', ...spec },
    } as Pod)
  }

  /** Rounds until nothing is left to do before a time from now. */
  run(forMs: number): this {
    const until = this.now + forMs
    for (let rounds = 0; ; rounds++) {
      if (rounds > 2_000) throw new Error('it never comes to rest')
      this.#endPrograms()
      this.#report()
      const { steps, again } = planPod(this.pod, this.observed, this.memory, this.now)
      for (const step of steps) {
        this.#execute(step)
        if (++this.#steps === this.forgetAfter) {
          this.memory = noMemory
          break
        }
      }
      if (steps.length > 0) {
        if (this.finished) return this
        continue
      }
      const next = Math.min(again ?? Number.POSITIVE_INFINITY, ...this.#ends())
      if (next > until) {
        this.now = until
        return this
      }
      this.now = Math.max(this.now + 1, next)
    }
  }

  delete(graceSeconds = 30): this {
    const metadata = {
      ...this.pod.metadata,
      deletionTimestamp: timeText(this.now),
      deletionGracePeriodSeconds: graceSeconds,
    }
    this.pod = { ...this.pod, metadata }
    return this
  }

  /** Outcomes of a probe of the container that runs. */
  probe(name: string, kind: ProbeKind, ...outcomes: boolean[]): this {
    const container = allContainers(this.pod).find((one) => one.name === name)
    const run = this.observed.containers.findLast((one) => one.name === name)
    const probe = container?.[`${kind}Probe`]
    if (!run || !probe) throw new Error(`no ${kind} probe of ${name}`)
    for (const good of outcomes) {
      const states = this.memory.probes.get(run.id) ?? {}
      const after = afterOutcome(probe, states[kind] ?? untried, good, this.now)
      this.memory = {
        ...this.memory,
        probes: new Map([...this.memory.probes, [run.id, { ...states, [kind]: after }]]),
      }
    }
    return this
  }

  get summary(): string {
    return `${podReady(this.pod)} ${podStatus(this.pod)} ${this.pod.status?.phase}`
  }

  /** The machine was restarted: nothing runs, the sandbox is gone, and nobody remembers. */
  reboot(): this {
    this.now += 1_000
    const containers = this.observed.containers.map((run) =>
      run.status === 'running'
        ? { ...run, status: 'exited' as const, exitCode: 137, finishedAt: this.now }
        : run,
    )
    this.observed = { ...this.observed, sandbox: undefined, containers }
    this.memory = noMemory
    this.now += 1_000
    return this
  }

  #report(): void {
    const status: PodStatus = statusOf(this.pod, this.observed, this.memory, {
      hostAddress: '192.0.2.1',
      now: this.now,
    })
    for (const event of eventsOf(this.pod, status)) this.log.push(`event ${event.reason}`)
    this.pod = { ...this.pod, status }
    const again = statusOf(this.pod, this.observed, this.memory, { hostAddress: '192.0.2.1', now: this.now })
    expect(again).toEqual(status)
    if (this.statuses.at(-1) !== this.summary) this.statuses.push(this.summary)
  }

  #ends(): number[] {
    return this.observed.containers.flatMap((run) => {
      const { runMs } = this.#programs[run.name] ?? {}
      return run.status === 'running' && runMs !== undefined ? [(run.startedAt ?? 0) + runMs] : []
    })
  }

  #endPrograms(): void {
    this.#change((run) => {
      const { runMs, exitCode = 0 } = this.#programs[run.name] ?? {}
      if (run.status !== 'running' || runMs === undefined || (run.startedAt ?? 0) + runMs > this.now)
        return run
      return { ...run, status: 'exited', exitCode, finishedAt: this.now }
    })
  }

  #change(change: (run: ObservedContainer) => ObservedContainer): void {
    this.observed = { ...this.observed, containers: this.observed.containers.map(change) }
  }

  #execute(step: Step): void {
    this.log.push('container' in step ? `${step.do} ${step.container}` : step.do)
    switch (step.do) {
      case 'pull': {
        const tries = (this.#pulls.get(step.image) ?? 0) + 1
        this.#pulls.set(step.image, tries)
        if (tries <= (this.#programs[step.container]?.pullFails ?? 0)) {
          const backOff = afterRetry(this.memory.pullTroubles.get(step.image)?.backOff, this.now)
          const trouble = { reason: 'ErrImagePull', message: 'not found', at: this.now, backOff }
          this.memory = { ...this.memory, pullTroubles: new Map([[step.image, trouble]]) }
          return
        }
        this.observed = {
          ...this.observed,
          images: new Map([...this.observed.images, [step.image, { id: 'sha256:1', user: '' }]]),
        }
        this.memory = {
          ...this.memory,
          pulled: new Map([...this.memory.pulled, [step.container, step.attempt]]),
          pullTroubles: new Map(),
        }
        return
      }
      case 'prepare-volumes':
        this.observed = { ...this.observed, volumesReady: true }
        return
      case 'make-sandbox':
        this.observed = { ...this.observed, sandbox: { id: 's', address: '10.210.0.9', createdAt: this.now } }
        return
      case 'run': {
        const trouble = this.#programs[step.container]?.runFails
        if (trouble) {
          const entry = { reason: 'CreateContainerConfigError', message: trouble, at: this.now }
          this.memory = { ...this.memory, runTroubles: new Map([[step.container, entry]]) }
          return
        }
        if (step.attempt > 0) {
          const next = afterRetry(this.memory.restarts.get(step.container), this.now)
          this.memory = {
            ...this.memory,
            restarts: new Map([...this.memory.restarts, [step.container, next]]),
          }
        }
        const image = allContainers(this.pod).find((one) => one.name === step.container)?.image ?? ''
        const run: ObservedContainer = {
          id: `${step.container}-${step.attempt}`,
          name: step.container,
          attempt: step.attempt,
          image,
          imageId: 'sha256:1',
          status: 'running',
          startedAt: this.now,
          exitCode: 0,
          oomKilled: false,
        }
        this.observed = { ...this.observed, containers: [...this.observed.containers, run] }
        return
      }
      case 'stop':
        this.log.push(`grace ${step.graceSeconds}`)
        this.now += 1_000
        this.#change((run) =>
          run.id === step.id ? { ...run, status: 'exited', exitCode: 143, finishedAt: this.now } : run,
        )
        return
      case 'remove':
        this.observed = {
          ...this.observed,
          containers: this.observed.containers.filter((run) => run.id !== step.id),
        }
        return
      case 'remove-sandbox':
        this.observed = { ...this.observed, sandbox: undefined }
        return
      case 'remove-volumes':
        this.observed = { ...this.observed, volumesReady: false }
        return
      case 'finish':
        this.finished = true
    }
  }
}
