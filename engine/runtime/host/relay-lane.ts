import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { BerthError, messageOf } from '../../base/error.ts'
import type { Log } from '../../base/host/log.ts'
import { failure } from './errno.ts'

const replyBit = 0x80
const eventType = 0x7f
const restartMs = 200

export interface Answer {
  readonly errno: number
  readonly payload: Uint8Array
}

interface Waiting {
  resolve(answer: Answer): void
  reject(error: Error): void
}

type OnEvent = (messages: Uint8Array | undefined) => void

interface Subscription {
  readonly type: number
  readonly fields: Uint8Array
  /** Settles when the kernel sends events. */
  readonly made: Promise<void>
  readonly listeners: Set<OnEvent>
}

/**
 * One `launcher relay` process. Requests are written at once and answered in order. Invariants: every request that was
 * written settles, with its answer or, when the process ends, with UNAVAILABLE; the process is started by the first
 * request; a lane with subscriptions starts again by itself, subscribes anew and tells each that events may be lost.
 */
export class RelayLane implements AsyncDisposable {
  readonly #options: { launcher: string; name: string; log: Log; netns?: string }
  #process: ChildProcess | undefined
  #waiting = new Map<number, Waiting>()
  /** One for each group, however many listen; it stays when nobody does. */
  readonly #subscriptions = new Map<string, Subscription>()
  /** Those of the running process, by the id of the request that made them. */
  #listening = new Map<number, ReadonlySet<OnEvent>>()
  #nextId = 1
  #pieces: Uint8Array = new Uint8Array()
  #closed = false

  constructor(options: { launcher: string; name: string; log: Log; netns?: string }) {
    this.#options = options
  }

  /** Settles when the process runs, or could not be started. */
  async ready(): Promise<void> {
    const started = this.#start()
    if (started.pid === undefined) {
      const [error] = await once(started, 'error')
      throw unavailable(this.#options, error)
    }
  }

  request(type: number, fields: Uint8Array): Promise<Answer> {
    return this.#send(this.#nextId++, type, fields)
  }

  /** Listens, and gives what ends the listening. */
  async subscribe(type: number, fields: Uint8Array, onEvent: OnEvent): Promise<() => void> {
    const key = `${type} ${Buffer.from(fields).toString('hex')}`
    let subscription = this.#subscriptions.get(key)
    if (!subscription) {
      const listeners = new Set<OnEvent>()
      subscription = { type, fields, listeners, made: this.#listen(type, fields, listeners) }
      this.#subscriptions.set(key, subscription)
      subscription.made.catch(() => this.#subscriptions.delete(key))
    }
    const { listeners, made } = subscription
    listeners.add(onEvent)
    await made
    return () => listeners.delete(onEvent)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    const running = this.#process
    if (!running || running.exitCode !== null || running.signalCode !== null) return
    refer(running, true)
    const ended = once(running, 'exit')
    running.stdin?.end()
    await ended
  }

  async #listen(type: number, fields: Uint8Array, listeners: ReadonlySet<OnEvent>): Promise<void> {
    const id = this.#nextId++
    this.#listening.set(id, listeners)
    const answer = await this.#send(id, type, fields)
    if (answer.errno !== 0) {
      this.#listening.delete(id)
      throw failure("watch the kernel's events", { errno: answer.errno, call: 'subscribe' })
    }
  }

  #send(id: number, type: number, fields: Uint8Array): Promise<Answer> {
    if (this.#closed) {
      return Promise.reject(new BerthError('UNAVAILABLE', `Cannot use relay "${this.#options.name}": closed`))
    }
    const running = this.#start()
    const frame = new Uint8Array(9 + fields.length)
    const view = new DataView(frame.buffer)
    view.setUint32(0, 5 + fields.length, true)
    frame[4] = type
    view.setUint32(5, id, true)
    frame.set(fields, 9)
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      refer(running, true)
      running.stdin?.write(frame)
    })
  }

  #start(): ChildProcess {
    if (this.#process) return this.#process
    const { launcher, netns } = this.#options
    const started = spawn(launcher, ['relay', ...(netns === undefined ? [] : [netns])], {
      stdio: ['pipe', 'pipe', 'inherit'],
      cwd: '/',
      env: {},
    })
    this.#process = started
    this.#pieces = new Uint8Array()
    started.stdout.on('data', (chunk: Uint8Array) => this.#receive(chunk))
    started.stdin.on('error', () => {})
    started.once('error', (error) => this.#ended(started, error))
    started.once('exit', (code, signal) => this.#ended(started, new Error(`exit ${signal ?? code}`)))
    refer(started, this.#waiting.size > 0)
    return started
  }

  #ended(which: ChildProcess, cause: Error): void {
    if (this.#process !== which) return
    this.#process = undefined
    const waiting = this.#waiting
    this.#waiting = new Map()
    this.#listening = new Map()
    for (const { reject } of waiting.values()) reject(unavailable(this.#options, cause))
    if (this.#closed) return
    this.#options.log('warn', 'A relay process ended', { lane: this.#options.name, cause: cause.message })
    if (this.#subscriptions.size > 0) setTimeout(() => this.#resubscribe(), restartMs).unref()
  }

  #resubscribe(): void {
    if (this.#closed) return
    for (const { type, fields, listeners } of this.#subscriptions.values()) {
      this.#listen(type, fields, listeners).then(
        () => tell(listeners, undefined),
        (error) => this.#options.log('error', 'Cannot watch the kernel', { error: messageOf(error) }),
      )
    }
  }

  #receive(chunk: Uint8Array): void {
    let bytes = this.#pieces.length === 0 ? chunk : Buffer.concat([this.#pieces, chunk])
    while (bytes.length >= 4) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      const length = view.getUint32(0, true)
      if (bytes.length < 4 + length) break
      const type = bytes[4] ?? 0
      const id = view.getUint32(5, true)
      this.#take(type, id, { errno: view.getInt32(9, true), payload: bytes.slice(13, 4 + length) })
      bytes = bytes.subarray(4 + length)
    }
    this.#pieces = bytes
  }

  #take(type: number, id: number, answer: Answer): void {
    if (type === eventType) {
      tell(this.#listening.get(id) ?? new Set(), answer.errno === 0 ? answer.payload : undefined)
      return
    }
    const waiting = this.#waiting.get(id)
    if (!waiting || (type & replyBit) === 0) return
    this.#waiting.delete(id)
    if (this.#waiting.size === 0 && this.#process) refer(this.#process, false)
    waiting.resolve(answer)
  }
}

function tell(listeners: ReadonlySet<OnEvent>, messages: Uint8Array | undefined): void {
  for (const onEvent of listeners) onEvent(messages)
}

/** Whether Node's loop waits for this process: only while a request is under way. */
function refer(child: ChildProcess, wait: boolean): void {
  const parts = [child, child.stdin, child.stdout] as ({ ref?(): void; unref?(): void } | null)[]
  for (const part of parts) wait ? part?.ref?.() : part?.unref?.()
}

function unavailable(options: { name: string; launcher: string }, cause: unknown): BerthError {
  return new BerthError('UNAVAILABLE', `Cannot use relay "${options.name}" of ${options.launcher}`, {
    cause,
    hint: 'see the log of the daemon; `berth system doctor` checks the launcher',
  })
}
