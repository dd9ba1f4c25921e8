import { isDeepStrictEqual } from 'node:util'
import { isBerthError, messageOf } from '../../base/error.ts'
import type { Log } from '../../base/host/log.ts'
import type { NodeFacts } from '../../object/field-ref.ts'
import { type KubeObject, timeText } from '../../object/meta.ts'
import { hasCondition } from '../../object/pod-summary.ts'
import type {
  ConfigMap,
  Deployment,
  Pod,
  Secret,
  Service,
  StatefulSet,
} from '../../object/types.generated.ts'
import type { EnvContext } from '../env.ts'
import { eventsOf } from '../events.ts'
import { unmetNeeds } from '../needs.ts'
import { noMemory, type Observed, type PodMemory, recalled } from '../observed.ts'
import { isWaiting, planPod } from '../plan.ts'
import { statusOf } from '../status.ts'
import { observe, podUidOf, sandboxId } from './observe.ts'
import { removeLogs } from './pod-logs.ts'
import { Prober } from './prober.ts'
import { execute, longSteps, type StepEngines } from './steps.ts'

/** The objects that the node reads. */
export interface NodeView {
  pods(): readonly Pod[]
  pod(namespace: string, name: string): Pod | undefined
  configMap(namespace: string, name: string): ConfigMap | undefined
  secret(namespace: string, name: string): Secret | undefined
  services(namespace: string): readonly Service[]
  /** Deployments and StatefulSets of this name. */
  workloads(namespace: string, name: string): readonly (Deployment | StatefulSet)[]
}

export interface PodsOptions extends StepEngines {
  readonly view: NodeView
  readonly facts: NodeFacts
  readonly log: Log
  readonly signal: AbortSignal
}

interface Entry {
  memory: PodMemory
  /** The pod as it was seen last: what is left of one that is gone is found by it. */
  last: Pod | undefined
  /** A round is under way. */
  running: boolean
  /** Something happened since it began. */
  woken: boolean
  timer: NodeJS.Timeout | undefined
  /** Ready as it was seen in the last round, not only reported before berth started. */
  ready: boolean
  /** The last round found that it needs what is not ready. */
  waiting: boolean
  /** What its files are made from changed: the next round makes them anew. */
  outdated: boolean
  readonly long: Set<string>
}

const retryMs = 1_000

/**
 * Makes the pods of this node be as they are to be: observe → status → report → plan → execute, again and again until nothing is left to do.
 *
 * Invariants:
 * - One round at a time for a pod; what happens meanwhile leads to another one.
 * - Pulls and stops go on beside the rounds, each once at a time; everything else is awaited.
 * - All that counts is read from the machine in each round: after a crash the next round carries on.
 */
export class Pods implements AsyncDisposable {
  readonly #options: PodsOptions
  readonly #entries = new Map<string, Entry>()
  readonly #prober: Prober
  readonly #work = new Set<Promise<unknown>>()

  constructor(options: PodsOptions) {
    this.#options = options
    this.#prober = new Prober(options)
    options.engine.events(({ attributes, action }) => {
      const uid = podUidOf(attributes)
      if (uid && (action === 'die' || action === 'start' || action === 'destroy')) this.#wake(uid)
    }, options.signal)
    options.sandboxes.lost((id) => {
      const pod = options.view.pods().find((one) => sandboxId(one) === id)
      if (pod) this.#wake(pod.metadata.uid ?? '')
    }, options.signal)
  }

  /** An object came, changed or went; the view shows that already. */
  notice(object: KubeObject): void {
    if (object.kind === 'Pod') {
      const pod = object as Pod
      if (pod.spec.nodeName === this.#options.settings.nodeName) this.#wake(pod.metadata.uid ?? '')
      return
    }
    if (object.kind === 'Deployment' || object.kind === 'StatefulSet')
      this.#wakeWaiting(object.metadata.namespace)
    if (object.kind !== 'ConfigMap' && object.kind !== 'Secret') return
    for (const pod of this.#options.view.pods()) {
      if (pod.metadata.namespace !== object.metadata.namespace || !this.#isMine(pod)) continue
      // Files made from it are brought up to date; what waited for it may go on.
      this.#remember(pod, (memory) => ({ ...memory, runTroubles: new Map(), setupTrouble: undefined }))
      this.#wake(pod.metadata.uid ?? '', { outdated: true })
    }
  }

  /** Removes what is left of pods that are no longer there; then looks at all that are. For the start. */
  async recover(): Promise<void> {
    const { engine, sandboxes, volumes, cgroups, view } = this.#options
    const living = new Set(view.pods().map((pod) => pod.metadata.uid))
    const orphans = engine.list().filter((record) => {
      const uid = podUidOf(record.settings.labels)
      return uid !== undefined && !living.has(uid)
    })
    for (const { id } of orphans) await engine.remove(id, { force: true, volumes: true })
    const known = new Set(view.pods().map(sandboxId))
    for (const { id } of sandboxes.list()) if (!known.has(id)) await sandboxes.remove(id)
    await removeLogs(this.#options.logs, (uid) => living.has(uid))
    for (const uid of await volumes.uids()) {
      if (living.has(uid)) continue
      await cgroups.remove(uid)
      await volumes.remove(uid)
    }
    for (const pod of view.pods()) if (this.#isMine(pod)) this.#wake(pod.metadata.uid ?? '')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const entry of this.#entries.values()) clearTimeout(entry.timer)
    await this.#prober[Symbol.asyncDispose]()
    await Promise.allSettled(this.#work)
  }

  #isMine(pod: Pod): boolean {
    return pod.spec.nodeName === this.#options.settings.nodeName
  }

  #wake(uid: string, { outdated = false } = {}): void {
    if (this.#options.signal.aborted) return
    const entry = this.#entries.get(uid) ?? {
      memory: noMemory,
      last: undefined,
      running: false,
      woken: false,
      timer: undefined,
      ready: false,
      waiting: false,
      outdated: false,
      long: new Set(),
    }
    this.#entries.set(uid, entry)
    entry.woken = true
    if (outdated) entry.outdated = true
    if (!entry.running) this.#start(this.#rounds(uid, entry))
  }

  async #rounds(uid: string, entry: Entry): Promise<void> {
    entry.running = true
    clearTimeout(entry.timer)
    try {
      while (entry.woken && !this.#options.signal.aborted) {
        entry.woken = false
        const present = this.#options.view.pods().find((one) => one.metadata.uid === uid)
        const pod = present ?? (entry.last && forsaken(entry.last, this.#options.clock.now()))
        if (!pod) return this.#forget(uid)
        if (!entry.last) entry.memory = recalled(pod)
        entry.last = pod
        const { acted, finished } = await this.#round(pod, entry, present !== undefined)
        if (finished && !present) return this.#forget(uid)
        if (acted) entry.woken = true
      }
    } catch (error) {
      if (this.#options.signal.aborted) return
      if (!isBerthError(error, 'CONFLICT', 'NOT_FOUND'))
        this.#options.log('warn', `Cannot bring a pod on: ${messageOf(error)}`, { uid })
      this.#later(uid, entry, retryMs)
    } finally {
      entry.running = false
      if (entry.woken) this.#wake(uid)
    }
  }

  #forget(uid: string): void {
    this.#entries.delete(uid)
    this.#prober.forget(uid)
  }

  /** `acted`: something was done, after which things look different. */
  async #round(pod: Pod, entry: Entry, present: boolean): Promise<{ acted: boolean; finished: boolean }> {
    const { clock, reporter, facts } = this.#options
    const observed = { ...(await observe(pod, this.#options)), unmet: this.#unmet(pod) }
    forgetRuns(entry, observed)
    if (entry.outdated) await this.#refresh(pod, entry, observed)
    const now = clock.now()
    const status = statusOf(pod, observed, entry.memory, { hostAddress: facts.address, now })
    entry.waiting = isWaiting(observed)
    const ready = hasCondition({ ...pod, status }, 'Ready')
    if (ready && !entry.ready) this.#wakeWaiting(pod.metadata.namespace)
    entry.ready = ready
    if (present && !isDeepStrictEqual(status, pod.status)) {
      for (const event of eventsOf(pod, status)) reporter.record(pod, event)
      await reporter.report(pod, status)
    }
    this.#prober.watch(
      pod,
      observed,
      () => entry.memory,
      (change, turned) => {
        this.#remember(pod, change)
        if (turned) this.#wake(pod.metadata.uid ?? '')
      },
    )
    const { steps, again } = planPod(pod, observed, entry.memory, now)
    if (again !== undefined) this.#later(pod.metadata.uid ?? '', entry, again - now)
    const context = {
      pod,
      observed,
      env: this.#envOf(pod, observed),
      memory: () => entry.memory,
      remember: (change: (memory: PodMemory) => PodMemory) => this.#remember(pod, change),
      signal: this.#options.signal,
    }
    const awaited: Promise<void>[] = []
    for (const step of steps) {
      const key = JSON.stringify(step.do === 'pull' ? [step.do, step.image] : step)
      if (!longSteps.includes(step.do)) awaited.push(execute(this.#options, step, context))
      else if (!entry.long.has(key)) {
        entry.long.add(key)
        this.#start(this.#long(execute(this.#options, step, context), { pod, entry, key }))
      }
    }
    await Promise.all(awaited)
    return { acted: awaited.length > 0, finished: steps.some((step) => step.do === 'finish') }
  }

  async #long(
    work: Promise<void>,
    { pod, entry, key }: { pod: Pod; entry: Entry; key: string },
  ): Promise<void> {
    try {
      await work
    } finally {
      entry.long.delete(key)
      this.#wake(pod.metadata.uid ?? '')
    }
  }

  /** In a round, because the round that removes the files must not be followed by one that makes them. */
  async #refresh(pod: Pod, entry: Entry, observed: Observed): Promise<void> {
    entry.outdated = false
    if (!observed.volumesReady || pod.metadata.deletionTimestamp) return
    const context = {
      pod,
      observed,
      env: this.#envOf(pod, observed),
      memory: () => noMemory,
      remember: () => undefined,
      signal: this.#options.signal,
    }
    await execute(this.#options, { do: 'prepare-volumes' }, context)
  }

  #unmet(pod: Pod): readonly string[] {
    const { view } = this.#options
    const { namespace = '' } = pod.metadata
    return unmetNeeds(pod, {
      workloads: (name) => view.workloads(namespace, name),
      pods: () => view.pods().filter((one) => one.metadata.namespace === namespace),
      isReady: ({ metadata }) => this.#entries.get(metadata.uid ?? '')?.ready === true,
    })
  }

  #wakeWaiting(namespace: string | undefined): void {
    for (const [uid, { waiting, last }] of this.#entries)
      if (waiting && last?.metadata.namespace === namespace) this.#wake(uid)
  }

  #envOf(pod: Pod, observed: Observed): EnvContext {
    const { view, facts } = this.#options
    const namespace = pod.metadata.namespace ?? ''
    const address = observed.sandbox ? observed.sandbox.address || facts.address : (pod.status?.podIP ?? '')
    const podIPs = address ? [{ ip: address }] : []
    return {
      // Variables name the address that the sandbox has now, whatever was reported last.
      pod: { ...pod, status: { ...pod.status, podIP: address, podIPs } },
      node: facts,
      references: {
        configMap: (name) => view.configMap(namespace, name),
        secret: (name) => view.secret(namespace, name),
        services: () => view.services(namespace),
      },
    }
  }

  #remember(pod: Pod, change: (memory: PodMemory) => PodMemory): void {
    const entry = this.#entries.get(pod.metadata.uid ?? '')
    if (entry) entry.memory = change(entry.memory)
  }

  #later(uid: string, entry: Entry, delayMs: number): void {
    clearTimeout(entry.timer)
    entry.timer = setTimeout(() => this.#wake(uid), Math.min(Math.max(1, delayMs), 2 ** 31 - 1))
    entry.timer.unref()
  }

  #start(work: Promise<void>): void {
    const settled = work.catch((error) => {
      if (!this.#options.signal.aborted)
        this.#options.log('warn', `Cannot bring a pod on: ${messageOf(error)}`)
    })
    this.#work.add(settled)
    void settled.then(() => this.#work.delete(settled))
  }
}

/** A pod whose object is gone before its containers: they are killed. */
function forsaken(pod: Pod, now: number): Pod {
  return {
    ...pod,
    metadata: { ...pod.metadata, deletionTimestamp: timeText(now), deletionGracePeriodSeconds: 0 },
  }
}

/** What is remembered of runs that are gone is of no use. */
function forgetRuns(entry: Entry, observed: Observed): void {
  const { memory } = entry
  const ids = new Set(observed.containers.map((run) => run.id))
  if ([...memory.probes.keys(), ...memory.stopping].every((id) => ids.has(id))) return
  const probes = new Map([...memory.probes].filter(([id]) => ids.has(id)))
  const stopping = new Set([...memory.stopping].filter((id) => ids.has(id)))
  entry.memory = { ...memory, probes, stopping }
}
