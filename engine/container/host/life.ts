import { rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { BerthError, isBerthError, messageOf } from '../../base/error.ts'
import { cgroupFolders } from '../../runtime/oci/cgroups.ts'
import { signalNumber } from '../../runtime/oci/linux.ts'
import type { ContainerAction, ContainerEvent, ContainerRecord } from '../container.ts'
import type { Exit, SupervisorHandle } from '../ports.ts'
import { classifyRecovery } from '../recovery.ts'
import { decideRestart, startsWithDaemon } from '../restart.ts'
import { type Engine, placesOf } from './engine.ts'
import { Exclusive } from './exclusive.ts'
import { LazyPins } from './lazy-pins.ts'
import { unmake } from './make.ts'
import { lower, ownNamespaces, raise } from './run.ts'
import type { Living } from './sweep.ts'
import { Waiters } from './waiters.ts'
import { within } from './within.ts'

export interface StopOptions {
  /** -1: wait without end. Absent: the container's own, else 10. */
  readonly timeoutSeconds?: number
  readonly signo?: number
}

interface Live {
  readonly run: number
  readonly supervisor: SupervisorHandle
}

/** A session that was asked for before the start. */
interface Attaching {
  readonly open: (supervisor: SupervisorHandle) => Promise<void>
  readonly fail: (error: unknown) => void
}

const lostCode = 137
const graceSeconds = 10
/** A killed process that has not gone by then is waited for by the kernel: its cgroup is killed and said to be so. */
const killLimitMs = 10_000

/**
 * The changes of containers' states. Invariants:
 * - A record is written before the effect that it tells of, and an effect that nobody recorded is swept at the start.
 * - What changes a container's record runs alone for that container (`alone`); waiting for an exit does not hold it.
 * - Progress `up` and an entry in `live` go together, but for the moment in which an exit is being recorded.
 */
export class Life {
  readonly engine: Engine
  readonly alone = new Exclusive()
  readonly live = new Map<string, Live>()
  readonly waiters = new Waiters()
  readonly listeners = new Set<(event: ContainerEvent) => void>()
  /** Sessions that were asked for before the start. */
  readonly attaching = new Map<string, Set<Attaching>>()
  readonly #pins: LazyPins
  readonly #timers = new Map<string, NodeJS.Timeout>()
  readonly #closing = new AbortController()

  constructor(engine: Engine) {
    this.#pins = new LazyPins(engine.namespaces, engine.log)
    this.engine = { ...engine, namespaces: this.#pins }
  }

  /** Settles when what goes in the background has gone. */
  settled(): Promise<void> {
    return this.#pins.settled()
  }

  get(id: string): ContainerRecord {
    const record = this.engine.records.get(id)
    if (!record) throw new BerthError('NOT_FOUND', `No such container: ${id}`)
    return record
  }

  async put(record: ContainerRecord): Promise<ContainerRecord> {
    await this.engine.records.write({ put: { [record.id]: record } })
    return record
  }

  emit(
    action: ContainerAction,
    record: ContainerRecord | undefined,
    more: Readonly<Record<string, string>> = {},
  ): void {
    if (!record) return
    const attributes = {
      ...record.process.labels,
      image: record.settings.image,
      name: record.settings.name,
      ...more,
    }
    const event: ContainerEvent = {
      type: 'container',
      action,
      id: record.id,
      attributes,
      time: this.engine.clock.now(),
    }
    for (const listener of this.listeners) listener(event)
  }

  /** From recorded to running. Alone. After a failure the record says why, and nothing runs. */
  async start(before: ContainerRecord): Promise<void> {
    // Not the caller's signal: who hangs up does not leave a launch half done.
    const { signal } = this.#closing
    this.#cancelTimer(before.id)
    const progress = {
      ...before.progress,
      step: 'starting' as const,
      run: before.progress.run + 1,
      stopped: false,
    }
    const starting: ContainerRecord = { ...before, progress, state: { ...before.state, error: '' } }
    const recorded = this.put(starting)
    const raised = await raise(this.engine, starting, { recorded, signal }).catch((error) =>
      this.#notStarted(starting, error),
    )
    const { supervisor, networks, ports } = raised
    try {
      for (const { open } of this.attaching.get(before.id) ?? []) await open(supervisor)
      this.attaching.delete(before.id)
      await supervisor.start()
    } catch (error) {
      await supervisor[Symbol.asyncDispose]()
      await lower(this.engine, { ...starting, networks })
      return this.#notStarted(starting, error)
    }
    this.live.set(before.id, { run: progress.run, supervisor })
    const record = await this.put({
      ...starting,
      progress: { ...progress, step: 'up' },
      networks,
      ports,
      state: {
        ...starting.state,
        status: 'running',
        pid: supervisor.pid,
        startedAt: this.engine.clock.now(),
        exitCode: 0,
        oomKilled: false,
      },
    })
    this.emit('start', record)
    this.#watch(record, supervisor)
  }

  async #notStarted(starting: ContainerRecord, error: unknown): Promise<never> {
    const status = starting.state.status === 'restarting' ? 'exited' : starting.state.status
    const code = (isBerthError(error) && error.details?.exitCode) || 128
    await this.put({
      ...starting,
      progress: { ...starting.progress, step: 'idle' },
      state: { ...starting.state, status, pid: 0, exitCode: Number(code), error: messageOf(error) },
    })
    this.#failAttaching(starting.id, error)
    if (starting.settings.autoRemove && !this.#closing.signal.aborted) await this.remove(starting.id, true)
    throw error
  }

  #failAttaching(id: string, error: unknown): void {
    for (const { fail } of this.attaching.get(id) ?? []) fail(error)
    this.attaching.delete(id)
  }

  #watch({ id, progress: { run } }: ContainerRecord, supervisor: SupervisorHandle): void {
    const lost = (error: unknown): Exit => {
      this.engine.log('warn', 'A supervisor was lost', { id, error: messageOf(error) })
      return { code: lostCode, oomKilled: false, finishedAt: this.engine.clock.now() }
    }
    supervisor.exited
      .catch((error) => (this.#closing.signal.aborted ? undefined : lost(error)))
      .then((exit) => exit && this.alone.run(id, () => this.#exited(id, run, exit)))
      .catch((error) => this.engine.log('error', 'Cannot record an exit', { id, error: messageOf(error) }))
  }

  /** Records the exit, tells who waits, takes everything down, and starts or removes it as its policies say. Alone. */
  async #exited(id: string, run: number, exit: Exit): Promise<void> {
    const record = this.engine.records.get(id)
    if (record?.progress.run !== run || record.progress.step !== 'up') return
    const { settings, state, progress } = record
    const again = decideRestart({
      policy: settings.restart,
      exitCode: exit.code,
      stopped: progress.stopped,
      restartCount: state.restartCount,
      failures: progress.failures,
      ranMs: exit.finishedAt - (state.startedAt ?? exit.finishedAt),
    })
    // Behind its exit nothing is lost: what is taken down before that is recorded is taken down again.
    const supervisor = this.live.get(id)?.supervisor
    const lowering = Promise.all([supervisor?.[Symbol.asyncDispose](), lower(this.engine, record)])
    lowering.catch(() => undefined)
    const ended = await this.put({
      ...record,
      networks: {},
      ports: [],
      progress: { ...progress, step: 'idle', failures: again?.failures ?? 0 },
      state: {
        ...state,
        status: again ? 'restarting' : 'exited',
        pid: 0,
        finishedAt: exit.finishedAt,
        exitCode: exit.code,
        oomKilled: exit.oomKilled,
        restartCount: state.restartCount + (again ? 1 : 0),
      },
    })
    this.live.delete(id)
    if (exit.oomKilled) this.emit('oom', ended)
    this.emit('die', ended, { exitCode: String(exit.code) })
    this.waiters.settle(id, 'exit', exit.code)
    await lowering
    if (again) this.startLater(id, again.delayMs)
    else if (settings.autoRemove) await this.remove(id, true)
  }

  /** Starts it after a while, unless it is stopped, removed or started before. */
  startLater(id: string, delayMs: number): void {
    if (this.#closing.signal.aborted) return
    this.later(id, delayMs, () =>
      this.alone.run(id, async () => {
        const record = this.engine.records.get(id)
        if (record?.progress.step !== 'idle' || record.state.status === 'removing') return
        await this.start(record)
      }),
    )
  }

  /** One timer a key; a later one takes the place of an earlier. Does not keep the process alive. */
  later(key: string, delayMs: number, work: () => Promise<void>): void {
    this.#cancelTimer(key)
    const timer = setTimeout(() => {
      this.#timers.delete(key)
      work().catch((error) =>
        this.engine.log('warn', 'Cannot do what was put off', { key, error: messageOf(error) }),
      )
    }, delayMs)
    this.#timers.set(key, timer.unref())
  }

  #cancelTimer(key: string): void {
    clearTimeout(this.#timers.get(key))
    this.#timers.delete(key)
  }

  /** A person wants it to rest. */
  async setStopped(id: string): Promise<void> {
    const record = this.get(id)
    await this.put({ ...record, progress: { ...record.progress, stopped: true } })
  }

  /** Ends a running or restarting container: its stop signal, then SIGKILL. Resolves when the exit is recorded. */
  async end(id: string, options: StopOptions, signal: AbortSignal): Promise<void> {
    await this.setStopped(id)
    if (this.get(id).state.status === 'restarting') {
      this.#cancelTimer(id)
      await this.alone.run(id, async () => {
        const record = this.get(id)
        if (record.state.status !== 'restarting' || record.progress.step !== 'idle') return
        await this.put({ ...record, state: { ...record.state, status: 'exited' } })
      })
    }
    const live = this.live.get(id)
    if (!live) return
    const { settings, process } = this.get(id)
    const over = new AbortController()
    const ended = this.waiters.wait(
      id,
      'next-exit',
      AbortSignal.any([over.signal, signal, this.#closing.signal]),
    )
    ended.catch(() => undefined)
    try {
      const seconds = options.timeoutSeconds ?? settings.stopTimeoutSeconds ?? graceSeconds
      const signo = options.signo ?? signalNumber(process.stopSignal) ?? 15
      if (seconds !== 0 || signo === 9) await live.supervisor.signal(signo).catch(() => undefined)
      if (await within(ended, seconds < 0 ? undefined : seconds * 1000)) return
      await live.supervisor.signal(9, { all: true }).catch(() => undefined)
      if (await within(ended, killLimitMs)) return
      await lower(this.engine, this.get(id))
      await ended
    } finally {
      over.abort()
    }
  }

  /** Removes a container that does not run, whole. Alone. Idempotent. */
  async remove(id: string, volumes: boolean): Promise<void> {
    const record = this.engine.records.get(id)
    if (!record) return
    this.#cancelTimer(id)
    const removing = await this.put({
      ...record,
      progress: { ...record.progress, removeVolumes: volumes },
      state: { ...record.state, status: 'removing', pid: 0 },
    })
    await unmake(this.engine, removing, { volumes })
    await this.engine.records.write({ remove: [id] })
    await this.#removeCgroupParent(record.settings.cgroupParent)
    this.#failAttaching(id, new BerthError('NOT_FOUND', `No such container: ${id}`))
    this.emit('destroy', record)
    this.waiters.settle(id, 'removed', record.state.exitCode)
  }

  /** A pod's cgroup goes with its last container: until then another may be about to begin in it. */
  async #removeCgroupParent(parent: string | undefined): Promise<void> {
    if (!parent) return
    const shared = [...this.engine.records.entries()].some(
      ([, { settings }]) => settings.cgroupParent === parent,
    )
    if (shared) return
    for (const folder of cgroupFolders(this.engine.cgroups, parent))
      await rmdir(folder).catch(() => undefined)
  }

  /** Brings a record that was read from disk and the world together. */
  async recover(record: ContainerRecord): Promise<void> {
    const { id, progress } = record
    const places = placesOf(this.engine, id)
    const supervisor =
      progress.step === 'up' || progress.step === 'starting'
        ? await this.engine.launcher.connect(places.socket, AbortSignal.timeout(5000)).catch(() => undefined)
        : undefined
    const exit =
      progress.run > 0 ? await this.engine.launcher.readExit(places.state(progress.run)) : undefined
    const situation = classifyRecovery(record, {
      supervisor: supervisor ? (supervisor.running ? 'running' : 'created') : 'none',
      exit,
    })
    if (situation !== 'at-rest') this.engine.log('info', 'Recovering a container', { id, situation })
    if (situation !== 'adopt') await supervisor?.[Symbol.asyncDispose]()
    switch (situation) {
      case 'adopt':
        if (!supervisor) return
        this.live.set(id, { run: progress.run, supervisor })
        return this.#watch(record, supervisor)
      case 'record-exit':
        return exit && this.#exited(id, progress.run, exit)
      case 'lost':
        return this.#exited(id, progress.run, {
          code: lostCode,
          oomKilled: false,
          finishedAt: this.engine.clock.now(),
        })
      case 'abort-start':
        // Without its state folder a launch that is still under way fails, and takes back what it made.
        await rm(join(places.folder, 'runs'), { recursive: true, force: true })
        await lower(this.engine, record)
        await this.put({
          ...record,
          networks: {},
          ports: [],
          progress: { ...progress, step: 'idle' },
          state: { ...record.state, pid: 0 },
        })
        return
      case 'undo-create':
        return this.remove(id, true)
      case 'finish-remove':
        return this.remove(id, progress.removeVolumes ?? false)
      case 'at-rest':
        return
    }
  }

  /** Starts what is to run: restarts that were under way, and what runs with the daemon. */
  startDue(): void {
    for (const [id, { state, settings, progress }] of this.engine.records.entries()) {
      const due =
        state.status === 'restarting' ||
        (state.status === 'exited' && startsWithDaemon(settings.restart, progress.stopped))
      if (due) this.startLater(id, 0)
    }
  }

  /** Containers that run, and sandboxes of their own that these have. */
  living(): Living {
    const running = [...this.engine.records.entries()].filter(
      ([, { progress }]) => progress.step === 'up' || progress.step === 'starting',
    )
    const containers = new Set(running.map(([id]) => id))
    const own = running.filter(([, record]) => !record.settings.sandbox && ownNamespaces(record).length > 0)
    return { containers, sandboxes: new Set(own.map(([id]) => id)) }
  }

  /** Lets go of everything; containers go on. Without any, nothing of berth's is left in the cgroups. */
  async close(): Promise<void> {
    this.#closing.abort(new BerthError('UNAVAILABLE', 'The daemon is stopping'))
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.waiters.close(this.#closing.signal.reason)
    await this.alone.idle()
    await this.settled()
    await Promise.all([...this.live.values()].map(({ supervisor }) => supervisor[Symbol.asyncDispose]()))
    // Berth's own cgroup stays only around containers that run.
    const { hierarchies, parent } = this.engine.cgroups
    for (const { mount } of hierarchies) await rmdir(mount + parent).catch(() => undefined)
  }
}
