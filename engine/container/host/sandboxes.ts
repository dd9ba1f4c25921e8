import { access, mkdir, rm } from 'node:fs/promises'
import { BerthError, messageOf } from '../../base/error.ts'
import { MS } from '../../runtime/oci/linux.ts'
import type { Collection } from '../../store/collection.ts'
import type { SupervisorHandle } from '../ports.ts'
import { type Engine, placesOf, sandboxPlacesOf } from './engine.ts'
import { Exclusive } from './exclusive.ts'
import { startPause, stopPause } from './pause.ts'
import { closeSandbox, type OpenedSandbox, openSandbox, type SandboxSettings } from './sandbox.ts'

/** As docker and containerd have it. */
const sharedMemoryBytes = 64 << 20
const connectLimitMs = 5000

export interface SandboxRecord {
  readonly id: string
  readonly created: number
  readonly settings: SandboxSettings
  /** Absent until it is whole: a record without is removed at the next start. */
  readonly opened?: OpenedSandbox
}

type SandboxEngine = Omit<Engine, 'podSandbox'>

/**
 * Pods' sandboxes. Invariants:
 * - Recorded before they are made, so that a crash leaves none unknown. They outlive the daemon and the containers in them.
 * - What changes a sandbox runs alone for that sandbox.
 * - One with a PID namespace of its own is whole only while the first process of that lives: when it ends, the sandbox is
 *   taken down, and who listens is told.
 */
export class Sandboxes {
  readonly #engine: SandboxEngine
  readonly #records: Collection<SandboxRecord>
  readonly #alone = new Exclusive()
  /** First processes of shared PID namespaces. */
  readonly #live = new Map<string, SupervisorHandle>()
  readonly #listeners = new Set<(id: string) => void>()
  readonly #closing = new AbortController()

  private constructor(engine: SandboxEngine, records: Collection<SandboxRecord>) {
    this.#engine = engine
    this.#records = records
  }

  /** Opens, and removes what was half made, or whose namespaces went with a restart of the machine. */
  static async open(engine: SandboxEngine, records: Collection<SandboxRecord>): Promise<Sandboxes> {
    const sandboxes = new Sandboxes(engine, records)
    for (const record of sandboxes.list())
      if (!(await sandboxes.#isWhole(record))) await sandboxes.remove(record.id)
    return sandboxes
  }

  /** Makes the sandbox; one of the same id that is whole is given back as it is. */
  create(settings: SandboxSettings): Promise<SandboxRecord> {
    return this.#alone.run(settings.id, async () => {
      const known = this.#records.get(settings.id)
      if (known?.opened) return known
      const record: SandboxRecord = { id: settings.id, created: this.#engine.clock.now(), settings }
      await this.#records.write({ put: { [settings.id]: record } })
      try {
        if (known) await takeDown(this.#engine, record)
        if (settings.sharedMemory) await this.#mountMemory(settings.id)
        const opened = await openSandbox(this.#engine, settings)
        const whole = { ...record, opened }
        if (settings.own.includes('pid')) {
          const pause = await startPause(this.#engine, settings, this.#closing.signal).catch(
            async (error) => {
              await closeSandbox(this.#engine, settings.id, Object.values(opened.networks))
              throw error
            },
          )
          await this.#records.write({ put: { [settings.id]: whole } })
          this.#watch(settings.id, pause)
        } else await this.#records.write({ put: { [settings.id]: whole } })
        return whole
      } catch (error) {
        await takeDown(this.#engine, record)
        await this.#records.write({ remove: [settings.id] })
        throw error
      }
    })
  }

  get(id: string): SandboxRecord {
    const record = this.#records.get(id)
    if (!record) throw new BerthError('NOT_FOUND', `No such sandbox: ${id}`)
    return record
  }

  list(): SandboxRecord[] {
    return [...this.#records.entries()].map(([, record]) => record)
  }

  /** Idempotent. Its containers must have ended. */
  remove(id: string): Promise<void> {
    return this.#alone.run(id, () => this.#remove(id))
  }

  /** Calls back for each sandbox that was lost, once it is gone, until the signal is aborted. */
  lost(listener: (id: string) => void, signal: AbortSignal): void {
    this.#listeners.add(listener)
    signal.addEventListener('abort', () => this.#listeners.delete(listener), { once: true })
  }

  /** Lets go of everything; sandboxes go on. */
  async close(): Promise<void> {
    this.#closing.abort(new BerthError('UNAVAILABLE', 'The daemon is stopping'))
    await this.#alone.idle()
    await Promise.all([...this.#live.values()].map((pause) => pause[Symbol.asyncDispose]()))
  }

  async #remove(id: string): Promise<void> {
    const record = this.#records.get(id)
    if (!record) return
    const pause = this.#live.get(id)
    this.#live.delete(id)
    await pause?.[Symbol.asyncDispose]()
    await closeSandbox(this.#engine, id, Object.values(record.opened?.networks ?? {}))
    await takeDown(this.#engine, record)
    await this.#records.write({ remove: [id] })
  }

  async #isWhole({ id, settings, opened }: SandboxRecord): Promise<boolean> {
    if (!opened) return false
    const pinned = settings.own.map((kind) => placesOf(this.#engine, id).namespace(kind))
    if ((await Promise.all(pinned.map(isThere))).includes(false)) return false
    if (!settings.own.includes('pid')) return true
    const { socket } = sandboxPlacesOf(this.#engine, id)
    const pause = await this.#engine.launcher
      .connect(socket, AbortSignal.timeout(connectLimitMs))
      .catch(() => undefined)
    if (pause) this.#watch(id, pause)
    return pause !== undefined
  }

  #watch(id: string, pause: SupervisorHandle): void {
    this.#live.set(id, pause)
    const ended = () => {
      if (this.#closing.signal.aborted || this.#live.get(id) !== pause) return
      this.#engine.log('info', 'The first process of a pod ended', { id })
      void this.#lose(id, pause)
    }
    pause.exited.then(ended, ended)
  }

  async #lose(id: string, pause: SupervisorHandle): Promise<void> {
    try {
      await this.#alone.run(id, async () => {
        if (this.#live.get(id) === pause) await this.#remove(id)
      })
    } catch (error) {
      this.#engine.log('warn', 'Cannot take a lost sandbox down', { id, error: messageOf(error) })
    }
    for (const listener of this.#listeners) listener(id)
  }

  async #mountMemory(id: string): Promise<void> {
    const { shm } = sandboxPlacesOf(this.#engine, id)
    await mkdir(shm, { recursive: true, mode: 0o700 })
    await this.#engine.overlays.mount({
      source: 'shm',
      target: shm,
      type: 'tmpfs',
      flags: MS.NOSUID | MS.NODEV | MS.NOEXEC,
      options: `mode=1777,size=${sharedMemoryBytes}`,
    })
  }
}

/** What a sandbox has besides namespaces that are pinned and networks. Idempotent. */
async function takeDown(engine: SandboxEngine, { id, settings }: SandboxRecord): Promise<void> {
  const { folder, shm } = sandboxPlacesOf(engine, id)
  if (settings.own.includes('pid')) await stopPause(engine, settings)
  if (settings.sharedMemory) await engine.overlays.unmount(shm)
  // A supervisor that is ending may still write its last word.
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
