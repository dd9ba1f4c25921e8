import { describe, expect, it } from 'vitest'
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
interface Program {
  readonly runMs?: number
  readonly exitCode?: number
  readonly pullFails?: number
  readonly runFails?: string
}

/** A machine without effects: it does what the planner says, on a clock of its own. */
class Machine {
  now = Date.parse('2026-01-01T00:00:00Z')
  readonly log: string[] = []
  readonly statuses: string[] = []
  finished = false
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
      for (const step of steps) this.#execute(step)
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

const web = { name: 'web', image: 'web:1' }

describe('a pod', () => {
  it('starts: image, volumes, sandbox, then the container; and then there is nothing to do', () => {
    const machine = new Machine({ containers: [web] }).run(60_000)
    expect(machine.log).toEqual(['prepare-volumes', 'make-sandbox', 'pull web', 'run web'])
    expect(machine.statuses).toEqual(['0/1 ContainerCreating Pending', '1/1 Running Running'])
    expect(machine.pod.status?.conditions?.map((c) => `${c.type}=${c.status}`)).toEqual([
      'PodReadyToStartContainers=True',
      'Initialized=True',
      'Ready=True',
      'ContainersReady=True',
      'PodScheduled=True',
    ])
    expect(machine.pod.status).toMatchObject({
      podIP: '10.210.0.9',
      hostIP: '192.0.2.1',
      qosClass: 'BestEffort',
    })
  })

  it('runs init containers one after the other, a sidecar beside them, then the rest', () => {
    const sidecar = {
      name: 'proxy',
      image: 'proxy:1',
      restartPolicy: 'Always',
      startupProbe: { tcpSocket: { port: 1 } },
    }
    const initContainers = [{ name: 'first', image: 'i:1' }, sidecar, { name: 'second', image: 'i:1' }]
    const machine = new Machine(
      { initContainers, containers: [web] },
      { first: { runMs: 100 }, second: { runMs: 100 } },
    ).run(5_000)
    expect(machine.log.filter((line) => line.startsWith('run'))).toEqual(['run first', 'run proxy'])
    expect(machine.summary).toBe('0/2 Init:1/3 Pending')
    machine.probe('proxy', 'startup', true).run(5_000)
    expect(machine.log.filter((line) => line.startsWith('run'))).toEqual([
      'run first',
      'run proxy',
      'run second',
      'run web',
    ])
    expect(machine.summary).toBe('2/2 Running Running')
  })

  it('fails when an init container fails for good, without running the rest', () => {
    const spec = {
      restartPolicy: 'Never',
      initContainers: [{ name: 'first', image: 'i:1' }],
      containers: [web],
    }
    const machine = new Machine(spec, { first: { runMs: 10, exitCode: 3 } }).run(60_000)
    expect(machine.pod.status?.phase).toBe('Failed')
    expect(machine.log).not.toContain('run web')
    expect(machine.log).toContain('remove-sandbox')
  })

  it('restarts a container that ends: at once, then after 10 s, 20 s, up to 5 min', () => {
    const machine = new Machine({ containers: [web] }, { web: { runMs: 1_000, exitCode: 1 } }).run(3_600_000)
    const runs = machine.log.filter((line) => line === 'run web').length
    // 0, 10, 20, 40, 80, 160, 300, 300 … s and one second each: 6 until 316 s, then one in 301 s.
    expect(runs).toBe(17)
    expect(machine.summary).toBe('0/1 CrashLoopBackOff Running')
    expect(machine.log.filter((line) => line === 'event BackOff')).toHaveLength(16)
    expect(machine.pod.status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 16,
      state: {
        waiting: {
          reason: 'CrashLoopBackOff',
          message: 'back-off 5m0s restarting failed container=web pod=p_shop(u)',
        },
      },
      lastState: { terminated: { exitCode: 1, reason: 'Error' } },
    })
    expect(machine.observed.containers).toHaveLength(2)
  })

  it('forgets failures after ten good minutes', () => {
    const machine = new Machine({ containers: [web] }, { web: { runMs: 700_000, exitCode: 1 } }).run(
      3_600_000,
    )
    expect(machine.log.filter((line) => line === 'run web')).toHaveLength(6)
    expect(machine.log).not.toContain('event BackOff')
  })

  it.each([
    ['OnFailure', 0, '0/1 Completed Succeeded'],
    ['Never', 0, '0/1 Completed Succeeded'],
    ['Never', 2, '0/1 Error Failed'],
  ])('with %s ends after exit code %i as %s', (restartPolicy, exitCode, summary) => {
    const machine = new Machine({ restartPolicy, containers: [web] }, { web: { runMs: 10, exitCode } }).run(
      60_000,
    )
    expect(machine.summary).toBe(summary)
    expect(machine.log.slice(-2)).toEqual(['run web', 'remove-sandbox'])
    expect(machine.observed.containers).toHaveLength(1)
  })

  it('pulls again later when a pull fails, and says what it waits for', () => {
    const machine = new Machine({ containers: [web] }, { web: { pullFails: 2 } })
    expect(machine.run(5_000).summary).toBe('0/1 ImagePullBackOff Pending')
    expect(machine.run(60_000).summary).toBe('1/1 Running Running')
    expect(machine.log.filter((line) => line === 'pull web')).toHaveLength(3)
  })

  it('never pulls what must be there', () => {
    const machine = new Machine({ containers: [{ ...web, imagePullPolicy: 'Never' }] }).run(60_000)
    expect(machine.summary).toBe('0/1 ErrImageNeverPull Pending')
    expect(machine.log).not.toContain('pull web')
  })

  it('pulls for each run with Always', () => {
    const always = { ...web, imagePullPolicy: 'Always' }
    const machine = new Machine({ containers: [always] }, { web: { runMs: 1_000, exitCode: 0 } }).run(5_000)
    expect(machine.log.filter((line) => line === 'pull web')).toHaveLength(2)
  })

  it('waits for what its configuration refers to', () => {
    const machine = new Machine({ containers: [web] }, { web: { runFails: 'configmap "c" not found' } }).run(
      60_000,
    )
    expect(machine.pod.status?.containerStatuses?.[0]?.state).toEqual({
      waiting: { reason: 'CreateContainerConfigError', message: 'configmap "c" not found' },
    })
    expect(machine.log.filter((line) => line === 'run web').length).toBeGreaterThan(5)
  })

  it('is ready by its readiness probe, and stays when that fails', () => {
    const container = { ...web, readinessProbe: { tcpSocket: { port: 1 }, failureThreshold: 2 } }
    const machine = new Machine({ containers: [container] }).run(1_000)
    expect(machine.summary).toBe('0/1 Running Running')
    expect(machine.probe('web', 'readiness', true).run(0).summary).toBe('1/1 Running Running')
    expect(machine.probe('web', 'readiness', false).run(0).summary).toBe('1/1 Running Running')
    expect(machine.probe('web', 'readiness', false).run(0).summary).toBe('0/1 Running Running')
    expect(machine.log).not.toContain('stop web')
  })

  it('is stopped and started again when its liveness or startup probe fails', () => {
    const container = { ...web, livenessProbe: { tcpSocket: { port: 1 }, terminationGracePeriodSeconds: 7 } }
    const machine = new Machine({ containers: [container] }).run(1_000)
    machine.probe('web', 'liveness', false, false).run(1_000)
    expect(machine.log).not.toContain('stop web')
    machine.probe('web', 'liveness', false).run(1_000)
    expect(machine.log.slice(-3)).toEqual(['stop web', 'grace 7', 'run web'])
  })

  it('is restarted when its image is another one', () => {
    const machine = new Machine({ containers: [web] }).run(1_000)
    machine.pod = {
      ...machine.pod,
      spec: {
        ...machine.pod.spec,
        containers: [{ ...(machine.pod.spec.containers[0] ?? web), image: 'web:2' }],
      },
    }
    machine.run(1_000)
    expect(machine.log.slice(-4)).toEqual(['stop web', 'grace 30', 'pull web', 'run web'])
  })

  it('ends in order: containers, sidecars in reverse, what was made, then the object', () => {
    const sidecars = ['a', 'b'].map((name) => ({ name, image: 's:1', restartPolicy: 'Always' }))
    const machine = new Machine({ initContainers: sidecars, containers: [web] }).run(5_000)
    machine.log.length = 0
    machine.delete(20).run(60_000)
    expect(machine.log).toEqual([
      ...['stop web', 'grace 20', 'stop b', 'grace 19', 'stop a', 'grace 18'],
      ...['remove', 'remove', 'remove', 'remove-sandbox', 'remove-volumes', 'finish'],
    ])
    expect(machine.pod.status?.phase).toBe('Failed')
    expect(machine.pod.status?.containerStatuses?.[0]?.state?.terminated?.exitCode).toBe(143)
  })

  it('that never began ends too', () => {
    expect(new Machine({ containers: [web] }).delete(0).run(60_000).log).toEqual(['finish'])
  })

  it('lets sidecars go when the work is done', () => {
    const initContainers = [{ name: 'proxy', image: 's:1', restartPolicy: 'Always' }]
    const machine = new Machine(
      { restartPolicy: 'Never', initContainers, containers: [web] },
      { web: { runMs: 100 } },
    ).run(60_000)
    expect(machine.log.filter((line) => line.startsWith('stop'))).toEqual(['stop proxy'])
    expect(machine.pod.status?.phase).toBe('Succeeded')
  })

  it('fails when it was active for too long', () => {
    const machine = new Machine({ activeDeadlineSeconds: 30, containers: [web] }).run(60_000)
    expect(machine.pod.status).toMatchObject({ phase: 'Failed', reason: 'DeadlineExceeded' })
  })

  it('is initialized and started anew after a restart of the machine', () => {
    const spec = { initContainers: [{ name: 'first', image: 'i:1' }], containers: [web] }
    const machine = new Machine(spec, { first: { runMs: 100 } }).run(5_000)
    machine.log.length = 0
    machine.reboot().run(60_000)
    expect(machine.log).toEqual(['make-sandbox', 'run first', 'run web'])
    expect(machine.summary).toBe('1/1 Running Running')
    expect(machine.pod.status?.containerStatuses?.[0]?.restartCount).toBe(1)
  })
})
