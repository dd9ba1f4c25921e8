import { BerthError } from '../../base/error.ts'
import { compileExec } from '../../runtime/oci/compile.ts'
import { explainPlan } from '../../runtime/oci/explain.ts'
import { CLONE, signalNumber } from '../../runtime/oci/linux.ts'
import type { LaunchPlan } from '../../runtime/plan.ts'
import type {
  AttachOptions,
  ContainerEvent,
  ContainerRecord,
  ContainerSettings,
  ContainerStats,
  ExecSettings,
  LogLine,
  LogOptions,
  NetworkSetting,
  ProcessTable,
  WaitCondition,
} from '../container.ts'
import type { AttachSession, ExecSession, SupervisorHandle } from '../ports.ts'
import { checkName, findContainer } from '../reference.ts'
import { execProcess, seccompOf } from '../spec.ts'
import { allows } from '../state.ts'
import { connectNetwork, disconnectNetwork } from './connect.ts'
import { cgroupsOf, type Engine } from './engine.ts'
import { fillVolumes } from './fill.ts'
import { Life, type StopOptions } from './life.ts'
import { readLogs } from './logs.ts'
import { draft, make, unmake } from './make.ts'
import { compiledSeccomp, planOf, userOf } from './run.ts'
import type { Sandboxes } from './sandboxes.ts'
import { readProcesses, readStats } from './stats.ts'
import { type Living, sweep, sweepSockets } from './sweep.ts'

const sweepAgainMs = 2000

/** The containers of this machine, by docker's rules. A `ref` is an id, a unique prefix of one, or a name. */
export class Containers implements AsyncDisposable {
  readonly #life: Life
  readonly #sandboxes: Sandboxes | undefined

  private constructor(life: Life, sandboxes: Sandboxes | undefined) {
    this.#life = life
    this.#sandboxes = sandboxes
  }

  /**
   * Opens and makes records and world agree: running containers are found again, ended ones recorded, what was half
   * made or half removed goes, and nothing that nobody knows stays. Then restart policies hold.
   */
  static async open(engine: Engine, options: { sandboxes?: Sandboxes } = {}): Promise<Containers> {
    const { sandboxes } = options
    const life = new Life({
      ...engine,
      ...(sandboxes && { podSandbox: (id) => sandboxes.get(id) }),
    })
    const containers = new Containers(life, sandboxes)
    await Promise.all(
      containers.list().map((record) => life.alone.run(record.id, () => life.recover(record))),
    )
    const living = (): Living => {
      const { containers, sandboxes: own } = life.living()
      const pods = sandboxes?.list().map(({ id }) => id) ?? []
      return { containers: new Set([...containers, ...pods]), sandboxes: new Set([...own, ...pods]) }
    }
    await sweep(life.engine, living())
    // A launch that was cut off with its daemon may come to life only now.
    life.later('sweep', sweepAgainMs, () => sweepSockets(engine, living().containers))
    life.startDue()
    return containers
  }

  /** Makes a container; it does not run yet. After a failure nothing of it is left. */
  async create(settings: ContainerSettings, signal: AbortSignal): Promise<ContainerRecord> {
    signal.throwIfAborted()
    const life = this.#life
    const drafted = draft(life.engine, settings)
    return life.alone.run(drafted.id, async () => {
      const recorded = life.put(drafted)
      try {
        const mounts = await make(life.engine, drafted, recorded)
        // Two containers may fill the same volume.
        await life.alone.run('fill', () => fillVolumes(life.engine, { ...drafted, mounts }))
        const record = await life.put({ ...drafted, mounts, progress: { ...drafted.progress, step: 'idle' } })
        life.emit('create', record)
        return record
      } catch (error) {
        await unmake(life.engine, drafted, { volumes: true })
        await life.engine.records.write({ remove: [drafted.id] })
        throw error
      }
    })
  }

  /** Runs it. One that runs already is fine. */
  async start(ref: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { id } = this.inspect(ref)
    await this.#life.alone.run(id, async () => {
      const record = this.inspect(id)
      if (!allows(record, 'start')) return
      const { state, progress } = record
      const fresh = {
        ...record,
        state: { ...state, restartCount: 0 },
        progress: { ...progress, failures: 0 },
      }
      await this.#life.start(fresh)
    })
  }

  /** Asks it to end with its stop signal and kills it after the grace time. Resolves when it has ended. */
  async stop(ref: string, options: StopOptions, signal: AbortSignal): Promise<void> {
    const record = this.inspect(ref)
    if (!allows(record, 'stop')) return
    await this.#life.end(record.id, options, signal)
    this.#life.emit('stop', record)
  }

  async restart(ref: string, options: StopOptions, signal: AbortSignal): Promise<void> {
    const record = this.inspect(ref)
    if (allows(record, 'stop')) await this.#life.end(record.id, options, signal)
    await this.start(record.id, signal)
    this.#life.emit('restart', record)
  }

  /** Sends a signal to its first process. The stop signal and SIGKILL also rest the restart policy. */
  async kill(ref: string, signo: number): Promise<void> {
    const record = this.inspect(ref)
    allows(record, 'kill')
    if (signo === 9 || signo === signalNumber(record.process.stopSignal))
      await this.#life.setStopped(record.id)
    await this.#supervisor(record).signal(signo)
    this.#life.emit('kill', record, { signal: String(signo) })
  }

  /** Removes it whole; a running one only with `force`. */
  async remove(ref: string, options: { readonly force: boolean; readonly volumes: boolean }): Promise<void> {
    const record = this.inspect(ref)
    if (!options.force) allows(record, 'remove')
    await this.#life.alone.run(record.id, async () => undefined)
    if (this.#life.live.has(record.id) || record.state.status === 'restarting') {
      if (!options.force) allows(this.inspect(record.id), 'remove')
      await this.#life.end(record.id, { timeoutSeconds: 0, signo: 9 }, new AbortController().signal)
    }
    await this.#life.alone.run(record.id, () => this.#life.remove(record.id, options.volumes))
  }

  async rename(ref: string, name: string): Promise<void> {
    const { id } = this.inspect(ref)
    await this.#life.alone.run(id, async () => {
      const record = this.inspect(id)
      const plain = name.replace(/^\//, '')
      checkName(this.list(), plain)
      const renamed = await this.#life.put({ ...record, settings: { ...record.settings, name: plain } })
      this.#life.emit('rename', renamed, { oldName: `/${record.settings.name}` })
    })
  }

  /** Joins a network, at once when it runs. */
  async connect(ref: string, network: NetworkSetting): Promise<void> {
    const { id } = this.inspect(ref)
    await this.#life.alone.run(id, () => connectNetwork(this.#life, this.inspect(id), network))
  }

  /** Leaves a network. Idempotent. */
  async disconnect(ref: string, network: string): Promise<void> {
    const { id } = this.inspect(ref)
    await this.#life.alone.run(id, () => disconnectNetwork(this.#life, this.inspect(id), network))
  }

  /** The exit code when the condition holds; one that does not run meets `not-running` at once. */
  async wait(ref: string, condition: WaitCondition, signal: AbortSignal): Promise<{ exitCode: number }> {
    const { id, progress, state } = this.inspect(ref)
    const runs = progress.step === 'up' || state.status === 'restarting'
    if (condition === 'not-running' && !runs) return { exitCode: state.exitCode }
    return this.#life.waiters.wait(id, condition, signal)
  }

  /** Joins its standard streams; before the start it waits for it and misses nothing. */
  async attach(ref: string, options: AttachOptions, signal: AbortSignal): Promise<AttachSession> {
    const record = this.inspect(ref)
    allows(record, 'attach')
    this.#life.emit('attach', record)
    const live = this.#life.live.get(record.id)
    if (live) return live.supervisor.attach(options)
    const { promise, resolve, reject } = Promise.withResolvers<AttachSession>()
    const open = (supervisor: SupervisorHandle) => supervisor.attach(options).then(resolve, reject)
    const mine = { open, fail: reject }
    const waiting = this.#life.attaching.get(record.id) ?? new Set()
    this.#life.attaching.set(record.id, waiting.add(mine))
    signal.addEventListener(
      'abort',
      () => {
        waiting.delete(mine)
        reject(signal.reason)
      },
      { once: true },
    )
    return promise
  }

  async resize(ref: string, rows: number, columns: number): Promise<void> {
    const record = this.inspect(ref)
    allows(record, 'exec')
    await this.#supervisor(record).resize(rows, columns)
    this.#life.emit('resize', record, { height: String(rows), width: String(columns) })
  }

  /** Runs a further process in it. */
  async exec(ref: string, exec: ExecSettings, signal: AbortSignal): Promise<ExecSession> {
    signal.throwIfAborted()
    const record = this.inspect(ref)
    allows(record, 'exec')
    const { engine } = this.#life
    const supervisor = this.#supervisor(record)
    const user = await userOf(engine, record, exec.user ?? record.process.user)
    const seccomp = seccompOf(record.settings, engine.kernel)
    const plan = compileExec(execProcess(record, exec, user), {
      id: record.id,
      pid: supervisor.pid,
      cgroups: cgroupsOf(engine, record.settings.cgroupParent),
      namespaces: foreignNamespaces(record),
      kernel: engine.kernel,
      seccomp,
      stdin: exec.stdin,
      ...(seccomp && { compiled: compiledSeccomp(seccomp, record.settings) }),
    })
    this.#life.emit('exec_create', record)
    const session = await supervisor.exec(plan)
    this.#life.emit('exec_start', record)
    session.exited.then(
      ({ code }) => this.#life.emit('exec_die', record, { exitCode: String(code) }),
      () => undefined,
    )
    return session
  }

  /** Its output so far and, with `follow`, on to its end. */
  logs(ref: string, options: LogOptions, signal: AbortSignal): AsyncIterable<LogLine> {
    const record = this.inspect(ref)
    if (record.settings.log?.none) {
      throw new BerthError('UNSUPPORTED', 'Configured logging driver does not support reading')
    }
    return this.#readLogs(record, options, signal)
  }

  async *#readLogs(
    record: ContainerRecord,
    options: LogOptions,
    signal: AbortSignal,
  ): AsyncGenerator<LogLine> {
    const over = new AbortController()
    try {
      const until = AbortSignal.any([over.signal, signal])
      const ended = this.wait(record.id, 'not-running', until).catch(() => undefined)
      yield* readLogs(record.logPath, options, { ended, signal })
    } finally {
      over.abort()
    }
  }

  /** Throws NOT_FOUND. */
  inspect(ref: string): ContainerRecord {
    return this.#life.engine.records.get(ref) ?? findContainer(this.list(), ref)
  }

  list(): ContainerRecord[] {
    return [...this.#life.engine.records.entries()].map(([, record]) => record)
  }

  /** What starting it now would do. */
  async plan(ref: string): Promise<LaunchPlan> {
    return planOf(this.#life.engine, this.inspect(ref))
  }

  /** The launch plan, one line a system call with its reason. */
  async explain(ref: string): Promise<readonly string[]> {
    return explainPlan(await this.plan(ref))
  }

  async stats(ref: string): Promise<ContainerStats> {
    const { id, settings, state } = this.inspect(ref)
    const { engine } = this.#life
    return readStats(cgroupsOf(engine, settings.cgroupParent), {
      id,
      pid: state.pid,
      time: engine.clock.now(),
    })
  }

  async top(ref: string): Promise<ProcessTable> {
    const record = this.inspect(ref)
    allows(record, 'top')
    return readProcesses(cgroupsOf(this.#life.engine, record.settings.cgroupParent), record.id)
  }

  /** Calls back for each event until the signal is aborted. */
  events(listener: (event: ContainerEvent) => void, signal: AbortSignal): void {
    this.#life.listeners.add(listener)
    signal.addEventListener('abort', () => this.#life.listeners.delete(listener), { once: true })
  }

  /** Settles when what goes in the background, such as namespaces, has gone. */
  async settled(): Promise<void> {
    await this.#life.settled()
  }

  /** Lets go of everything, pods' sandboxes too; containers go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sandboxes?.close()
    await this.#life.close()
  }

  #supervisor(record: ContainerRecord): SupervisorHandle {
    const live = this.#life.live.get(record.id)
    if (!live) throw new BerthError('CONFLICT', `Container ${record.id} is not running`)
    return live.supervisor
  }
}

/** CLONE_NEW* of the namespaces that are not the host's. */
function foreignNamespaces({ settings }: ContainerRecord): number {
  const flag = (mode: string | undefined, kind: number) => (mode === 'host' ? 0 : kind)
  return (
    CLONE.NEWNS |
    flag(settings.pidMode, CLONE.NEWPID) |
    flag(settings.networkMode, CLONE.NEWNET) |
    flag(settings.ipcMode, CLONE.NEWIPC) |
    flag(settings.utsMode, CLONE.NEWUTS) |
    flag(settings.cgroupnsMode, CLONE.NEWCGROUP)
  )
}
