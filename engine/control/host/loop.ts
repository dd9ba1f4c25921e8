import { isBerthError, messageOf } from '../../base/error.ts'
import type { Clock } from '../../base/host/clock.ts'
import type { Log } from '../../base/host/log.ts'
import type { KubeObject } from '../../object/meta.ts'
import { type Announcement, type Controller, type Key, keyText, type Write } from '../decision.ts'
import type { View } from '../view.ts'
import { KeyQueue } from './queue.ts'

export type EventWrite = Extract<Write, { readonly verb: 'event' }>
export type ObjectWrite = Exclude<Write, EventWrite>

/** Carries out what controllers decide. */
export interface Writer {
  /**
   * One write, done when it is durable. Gives the object as it is stored now, undefined when it is gone. Rejects with
   * CONFLICT for another resourceVersion or uid, ALREADY_EXISTS, NOT_FOUND. A `generateName` gets its random part here.
   */
  write(write: ObjectWrite, controller: string, signal: AbortSignal): Promise<KubeObject | undefined>
  /** Notes an event, joined with an equal one. Never rejects. */
  record(event: EventWrite): void
}

export interface LoopOptions {
  readonly controllers: readonly Controller[]
  readonly view: View
  readonly writer: Writer
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
}

/** Keys that are worked on at a time: their writes share commits. */
const concurrency = 32
/** A write that the view does not show after this long is no longer waited for. */
const patienceMs = 5_000
const usualErrors = ['CONFLICT', 'ALREADY_EXISTS', 'NOT_FOUND'] as const

interface Job {
  readonly controller: Controller
  readonly key: Key
}

/**
 * Runs controllers: an object that changed → the keys that it affects → `reconcile` → the writer.
 *
 * Invariants:
 * - A key is worked on once at a time, and only when the view shows every write of its last time (or `patienceMs` have
 *   passed): a stale view never makes a second pod for the same want.
 * - Writes of one decision are done in order; after one fails the rest are dropped and the key comes again, later each time.
 * - What was not done when the process dies is decided anew from the view at the next start: nothing is remembered.
 */
export class ControlLoop implements AsyncDisposable {
  readonly #options: LoopOptions
  readonly #queue = new KeyQueue()
  readonly #jobs = new Map<string, Job>()
  readonly #running = new Set<Promise<void>>()
  #timer: NodeJS.Timeout | undefined
  #scheduled = false

  constructor(options: LoopOptions) {
    this.#options = options
  }

  /** An object came, changed or went; the view shows that already. */
  notice(object: KubeObject): void {
    for (const controller of this.#options.controllers) {
      for (const key of controller.affected(this.#options.view, object)) this.#add(controller, key)
    }
    this.#schedule()
  }

  /** Nothing to do at this moment. */
  get idle(): boolean {
    return this.#queue.idle
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer)
    await Promise.all(this.#running)
  }

  #add(controller: Controller, key: Key): void {
    const id = `${controller.name} ${keyText(key)}`
    if (!this.#jobs.has(id)) this.#jobs.set(id, { controller, key })
    this.#queue.add(id)
  }

  #schedule(): void {
    if (this.#scheduled || this.#options.signal.aborted) return
    this.#scheduled = true
    // One key a turn: between two decisions the event loop serves others.
    setImmediate(() => {
      this.#scheduled = false
      this.#next()
    })
  }

  #next(): void {
    const { clock, signal } = this.#options
    if (signal.aborted || this.#running.size >= concurrency) return
    const id = this.#queue.take(clock.now())
    const job = id === undefined ? undefined : this.#jobs.get(id)
    if (id === undefined) {
      this.#wakeUp()
      return
    }
    if (!job) {
      // Only an old time to look again is left of it.
      this.#queue.done(id, 'good')
      this.#schedule()
      return
    }
    const run = this.#work(id, job).finally(() => {
      this.#running.delete(run)
      this.#schedule()
    })
    this.#running.add(run)
    this.#schedule()
  }

  #wakeUp(): void {
    clearTimeout(this.#timer)
    const time = this.#queue.nextTime
    if (time === undefined) return
    const delay = Math.min(Math.max(0, time - this.#options.clock.now()), 2 ** 31 - 1)
    this.#timer = setTimeout(() => this.#schedule(), delay)
    this.#timer.unref()
  }

  async #work(id: string, { controller, key }: Job): Promise<void> {
    const { clock, log, view } = this.#options
    const done: { write: ObjectWrite; stored: KubeObject | undefined }[] = []
    try {
      const { writes, again } = controller.reconcile(view, key, clock.now())
      // Forgotten before the writes: what they change may bring the key back.
      if (writes.length === 0 && again === undefined) this.#jobs.delete(id)
      if (again !== undefined) this.#queue.addAt(id, again)
      for (const write of writes) {
        const stored = await this.#execute(controller, write)
        if (write.verb !== 'event') done.push({ write, stored })
      }
      await this.#seen(done)
      this.#queue.done(id, 'good')
      if (writes.length > 0) this.#add(controller, key)
    } catch (error) {
      const usual = isBerthError(error, ...usualErrors)
      if (!usual && !this.#options.signal.aborted) {
        log('warn', `${controller.name}: ${keyText(key)}: ${messageOf(error)}`)
      }
      await this.#seen(done)
      this.#jobs.set(id, { controller, key })
      this.#queue.done(id, 'failed')
      this.#queue.addFailed(id, clock.now())
    }
  }

  async #execute(controller: Controller, write: Write): Promise<KubeObject | undefined> {
    const { writer, signal } = this.#options
    if (write.verb === 'event') {
      writer.record(write)
      return undefined
    }
    const announce = write.verb === 'update' ? undefined : write.announce
    const action = write.verb === 'create' ? 'Create' : 'Delete'
    try {
      const stored = await writer.write(write, controller.name, signal)
      if (announce) {
        const name = write.verb === 'delete' ? write.key.name : stored?.metadata.name
        const subject =
          write.verb === 'delete' ? write.key.kind : write.verb === 'create' ? write.object.kind : ''
        this.#tell(announce, 'Normal', `Successful${action}`, `${action}d ${subject.toLowerCase()}: ${name}`)
      }
      return stored
    } catch (error) {
      if (announce && !isBerthError(error, ...usualErrors) && !signal.aborted) {
        this.#tell(announce, 'Warning', `Failed${action}`, `Error: ${messageOf(error)}`)
      }
      throw error
    }
  }

  #tell({ about, source }: Announcement, type: EventWrite['type'], reason: string, message: string): void {
    this.#options.writer.record({ verb: 'event', about, type, reason, message, source })
  }

  /** Waits until the view shows these writes. A view over the store's own memory shows them at once. */
  async #seen(done: readonly { write: ObjectWrite; stored: KubeObject | undefined }[]): Promise<void> {
    const { view, clock, signal } = this.#options
    const until = clock.now() + patienceMs
    const missing = () => done.some(({ write, stored }) => !isVisible(view, write, stored))
    while (missing() && clock.now() < until && !signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
}

function isVisible(view: View, write: ObjectWrite, stored: KubeObject | undefined): boolean {
  const { kind, metadata } = stored ?? { kind: '', metadata: {} }
  if (write.verb === 'delete') {
    const left = view.get(write.key.kind, write.key.namespace, write.key.name)
    return left?.metadata.uid !== write.uid || left.metadata.deletionTimestamp !== undefined
  }
  if (!stored) return true
  const present = view.get(kind as Key['kind'], metadata.namespace ?? '', metadata.name ?? '')
  if (present?.metadata.uid !== metadata.uid) return false
  return Number(present?.metadata.resourceVersion ?? 0) >= Number(metadata.resourceVersion ?? 0)
}
