import { isBerthError } from '../base/error.ts'
import { type Controller, type Key, keyText, type Write } from '../control/decision.ts'
import type { View } from '../control/view.ts'
import type { KubeObject } from '../object/meta.ts'
import type { Pod, PodStatus } from '../object/types.generated.ts'
import { dataFinalizer } from '../object/volume-names.ts'
import { type Behaviour, endedStatus, restartedStatus, runningStatus, usualBehaviour } from './pod-life.ts'
import { type Random, seededRandom } from './random.ts'
import { World } from './world.ts'

export interface SimulationOptions {
  readonly seed: number
  readonly controllers: readonly Controller[]
  readonly base?: View
  /** How a pod's containers behave; drawn once a pod. */
  readonly behaviour?: (pod: Pod, random: Random) => Behaviour
  /** Probability that the daemon is killed after a write. */
  readonly kill?: number
  /** Called after each change, with what was written: the place for invariants. */
  readonly observe?: (step: SimulationStep) => void
}

export interface SimulationStep {
  readonly time: number
  /** A controller's name, or `node`. */
  readonly by: string
  readonly write?: Write
}

interface Task {
  readonly time: number
  readonly order: number
  /** Work of the daemon is lost when it is killed; the node's containers are not. */
  readonly daemon: boolean
  readonly run: () => void
}

const start = Date.parse('2026-01-01T00:00:00Z')
const longestDelayMs = 50

/**
 * A machine with its controllers and a simulated node, on a clock of its own: one seed, one order of events. Nothing waits for real.
 * Controllers look at a key a few milliseconds after it changed, in seeded order, so that their work and the node's interleave.
 */
export class Simulation {
  readonly world: World
  readonly history: SimulationStep[] = []
  readonly #options: SimulationOptions
  readonly #random: Random
  readonly #pending = new Set<string>()
  readonly #behaviours = new Map<string, Behaviour>()
  readonly #ending = new Set<string>()
  #tasks: Task[] = []
  #now = start
  #order = 0
  #settling = false

  constructor(options: SimulationOptions) {
    this.#options = options
    this.#random = seededRandom(options.seed)
    this.world = new World({
      ...(options.base ? { base: options.base } : {}),
      random: this.#random,
      now: () => this.#now,
      changed: (object) => this.#changed(object),
    })
  }

  get now(): number {
    return this.#now
  }

  /** Runs until nothing is left to do, or for at most `limitMs` of the simulation's time. Tells whether it came to rest. */
  run(limitMs = 3_600_000): boolean {
    const until = this.#now + limitMs
    for (;;) {
      const task = this.#takeTask()
      if (!task) return true
      if (task.time > until) {
        this.#tasks.push(task)
        return false
      }
      this.#now = Math.max(this.#now, task.time)
      task.run()
    }
  }

  /** From here on the daemon is not killed any more. */
  calm(): void {
    this.#settling = true
  }

  /** What controllers would write now, if anything: nothing is the meaning of converged. */
  wanted(): readonly Write[] {
    return this.#keys().flatMap(([controller, key]) => [
      ...controller.reconcile(this.world.view, key, this.#now).writes,
    ])
  }

  #keys(): [Controller, Key][] {
    const found = new Map<string, [Controller, Key]>()
    for (const object of this.world.all()) {
      for (const controller of this.#options.controllers) {
        for (const key of controller.affected(this.world.view, object)) {
          found.set(`${controller.name} ${keyText(key)}`, [controller, key])
        }
      }
    }
    return [...found.values()]
  }

  #changed(object: KubeObject): void {
    for (const controller of this.#options.controllers) {
      for (const key of controller.affected(this.world.view, object)) this.#soon(controller, key)
    }
    if (object.kind === 'Pod') this.#live(object as Pod)
    if (object.kind === 'PersistentVolume') this.#clean(object)
  }

  #soon(controller: Controller, key: Key): void {
    const id = `${controller.name} ${keyText(key)}`
    if (this.#pending.has(id)) return
    this.#pending.add(id)
    this.#at(this.#random.between(0, longestDelayMs), true, () => {
      this.#pending.delete(id)
      this.#reconcile(controller, key)
    })
  }

  #reconcile(controller: Controller, key: Key): void {
    const { writes, again } = controller.reconcile(this.world.view, key, this.#now)
    if (again !== undefined)
      this.#at(Math.max(1, again - this.#now), true, () => this.#reconcile(controller, key))
    for (const write of writes) {
      try {
        if (write.verb !== 'event') this.world.write(write)
      } catch (error) {
        if (!isBerthError(error, 'CONFLICT', 'NOT_FOUND', 'ALREADY_EXISTS')) throw error
        this.#at(longestDelayMs, true, () => this.#soon(controller, key))
        return
      }
      this.#note({ time: this.#now, by: controller.name, write })
      if (!this.#settling && this.#random.chance(this.#options.kill ?? 0)) {
        this.#killDaemon()
        return
      }
    }
  }

  /** All that the daemon had in memory is gone; what it starts with is every object there is. */
  #killDaemon(): void {
    this.#tasks = this.#tasks.filter((task) => !task.daemon)
    this.#pending.clear()
    this.#at(this.#random.between(1, 5_000), true, () => {
      for (const [controller, key] of this.#keys()) this.#soon(controller, key)
    })
  }

  /** The node removes the files of a volume that nobody protects any more. */
  #clean(volume: KubeObject): void {
    const { finalizers, name = '', uid } = volume.metadata
    if (!volume.metadata.deletionTimestamp || finalizers?.length !== 1 || finalizers[0] !== dataFinalizer)
      return
    this.#at(longestDelayMs, false, () => {
      const current = this.world.view.get('PersistentVolume', '', name)
      if (current?.metadata.uid !== uid || !current) return
      this.world.update({ ...current, metadata: { ...current.metadata, finalizers: [] } })
      this.#note({ time: this.#now, by: 'node' })
    })
  }

  /** The node's part of a pod's life. */
  #live(pod: Pod): void {
    const uid = pod.metadata.uid ?? ''
    if (!pod.spec.nodeName || pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return
    const known = this.#behaviours.get(uid)
    const behaviour = known ?? (this.#options.behaviour ?? usualBehaviour)(pod, this.#random)
    this.#behaviours.set(uid, behaviour)
    if (pod.metadata.deletionTimestamp) {
      if (this.#ending.has(uid)) return
      this.#ending.add(uid)
      this.#at(behaviour.stopMs, false, () => {
        this.world.finish(pod)
        this.#note({ time: this.#now, by: 'node' })
      })
    } else if (!known) this.#at(behaviour.startMs, false, () => this.#started(pod, behaviour, runningStatus))
  }

  #started(
    pod: Pod,
    behaviour: Behaviour,
    status: (pod: Pod, ready: boolean, now: number) => PodStatus,
  ): void {
    if (!this.#report(pod, (current) => status(current, false, this.#now))) return
    if (behaviour.readyMs !== undefined) {
      this.#at(behaviour.readyMs, false, () =>
        this.#report(pod, (current) => runningStatus(current, true, this.#now)),
      )
    }
    if (behaviour.runMs !== undefined) this.#at(behaviour.runMs, false, () => this.#ended(pod, behaviour))
  }

  #ended(pod: Pod, behaviour: Behaviour): void {
    const { exitCode = 0 } = behaviour
    const policy = pod.spec.restartPolicy ?? 'Always'
    if (policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0)) {
      this.#started(pod, behaviour, (current, _, now) => restartedStatus(current, now))
    } else this.#report(pod, (current) => endedStatus(current, exitCode, this.#now))
  }

  #report(pod: Pod, status: (current: Pod) => PodStatus): boolean {
    const current = this.world.view.get('Pod', pod.metadata.namespace ?? '', pod.metadata.name ?? '')
    if (current?.metadata.uid !== pod.metadata.uid || !current || current.metadata.deletionTimestamp)
      return false
    this.world.update({ ...current, status: status(current) }, 'status')
    this.#note({ time: this.#now, by: 'node' })
    return true
  }

  #note(step: SimulationStep): void {
    this.history.push(step)
    this.#options.observe?.(step)
  }

  #at(delayMs: number, daemon: boolean, run: () => void): void {
    this.#tasks.push({ time: this.#now + delayMs, order: this.#order++, daemon, run })
  }

  #takeTask(): Task | undefined {
    let best = 0
    for (let i = 1; i < this.#tasks.length; i++) {
      const [a, b] = [this.#tasks[i], this.#tasks[best]]
      if (a && b && (a.time < b.time || (a.time === b.time && a.order < b.order))) best = i
    }
    return this.#tasks.splice(best, 1)[0]
  }
}
