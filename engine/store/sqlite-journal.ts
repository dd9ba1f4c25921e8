import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { BerthError } from '../base/error.ts'
import { entryFile } from '../base/host/entry.ts'
import { ensureFolder } from '../base/host/files.ts'
import type { Journal, Loaded, Mutation } from './journal.ts'
import type { Request, Response, WorkerSettings } from './protocol.ts'

/** How many versions are reserved at a time, so that one that was given out is never given out again. */
const reserveStep = 1000

interface Batch {
  /** By file, table and key: of several writes to one row in a batch only the last reaches the disk. */
  readonly mutations: Map<string, Mutation>
  readonly committed: (() => void)[]
  readonly done: PromiseWithResolvers<void>
}

/**
 * The journal in two SQLite files, owned by one worker thread. While a commit is on its way, writes gather in the
 * next batch: commits are grouped as much as the disk is slow. The first failure ends it: everything on its way and
 * everything later is rejected, and `onFatal` is called once.
 *
 * Invariants: at most one batch is at the worker (`#sent`); `#next` is sent when it returns; callbacks of a batch
 * run before its promise settles, and before the next batch is sent.
 */
export class SqliteJournal implements Journal, AsyncDisposable {
  readonly #worker: Worker
  readonly #onFatal: (error: BerthError) => void
  #sent: Batch | undefined
  #next: Batch | undefined
  #failure: BerthError | undefined
  #version: number
  #reserved: number
  #closed: PromiseWithResolvers<void> | undefined

  private constructor(worker: Worker, loaded: Loaded, onFatal: (error: BerthError) => void) {
    this.#worker = worker
    this.#onFatal = onFatal
    this.#version = loaded.version
    this.#reserved = loaded.reserved
    worker.on('message', (response: Response) => this.#receive(response))
    worker.on('error', (error) =>
      this.#fail(new BerthError('INTERNAL', 'The store failed', { cause: error })),
    )
    worker.on('exit', () => {
      if (this.#closed) this.#closed.resolve()
      else this.#fail(new BerthError('INTERNAL', 'The thread of the store ended'))
    })
  }

  /** Opens or makes both files (0600) in `folder` (0700) and gives what they hold. */
  static async open(
    folder: string,
    onFatal: (error: BerthError) => void,
  ): Promise<{ journal: SqliteJournal; loaded: Loaded }> {
    await ensureFolder(folder, 0o700)
    const settings: WorkerSettings = {
      mainFile: join(folder, 'berth.sqlite'),
      eventsFile: join(folder, 'events.sqlite'),
    }
    for (const path of Object.values(settings)) {
      await using file = await open(path, 'a', 0o600)
      await file.chmod(0o600)
    }
    const worker = new Worker(entryFile('store-worker', 'engine/store/worker.ts'), {
      workerData: settings,
      execArgv: [],
    })
    const first = await new Promise<Response>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
      worker.once('exit', () => reject(new Error('its thread ended')))
    }).catch((error: unknown) => ({ type: 'failed' as const, message: String(error) }))
    if (first.type !== 'loaded') {
      await worker.terminate()
      throw storeError(first, `Cannot open the store in "${folder}"`)
    }
    return { journal: new SqliteJournal(worker, first.loaded, onFatal), loaded: first.loaded }
  }

  write(mutations: readonly Mutation[], onCommit?: () => void): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure)
    if (this.#closed) return Promise.reject(new BerthError('UNAVAILABLE', 'The store is closed'))
    const batch = this.#gather()
    for (const mutation of mutations) {
      const key = JSON.stringify([mutation.file, mutation.table, ...mutation.key])
      batch.mutations.delete(key)
      batch.mutations.set(key, mutation)
      if (mutation.version > this.#version) this.#version = mutation.version
    }
    if (onCommit) batch.committed.push(onCommit)
    return batch.done.promise
  }

  settled(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure)
    return (this.#next ?? this.#sent)?.done.promise ?? Promise.resolve()
  }

  /** Waits for what was written, then closes both files. */
  async close(): Promise<void> {
    if (!this.#failure) await this.settled()
    if (this.#closed) return this.#closed.promise
    this.#closed = Promise.withResolvers()
    if (this.#failure) {
      await this.#worker.terminate()
      this.#closed.resolve()
    } else {
      this.#post({ type: 'close' })
    }
    return this.#closed.promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #gather(): Batch {
    if (!this.#next) {
      this.#next = { mutations: new Map(), committed: [], done: Promise.withResolvers() }
      // A rejection that nobody waits for must not end the process: onFatal does.
      this.#next.done.promise.catch(() => undefined)
      if (!this.#sent) queueMicrotask(() => this.#send())
    }
    return this.#next
  }

  #send(): void {
    if (this.#sent || !this.#next || this.#failure) return
    this.#sent = this.#next
    this.#next = undefined
    if (this.#version > this.#reserved) this.#reserved = this.#version + reserveStep
    this.#post({
      type: 'batch',
      mutations: [...this.#sent.mutations.values()],
      version: this.#version,
      reserved: this.#reserved,
    })
  }

  #post(request: Request): void {
    this.#worker.postMessage(request)
  }

  #receive(response: Response): void {
    if (response.type === 'failed') {
      this.#fail(storeError(response, 'Cannot write to the store'))
      return
    }
    const batch = this.#sent
    if (response.type !== 'committed' || !batch) return
    for (const callback of batch.committed) callback()
    this.#sent = undefined
    batch.done.resolve()
    this.#send()
  }

  #fail(error: BerthError): void {
    if (this.#failure || this.#closed) return
    this.#failure = error
    this.#sent?.done.reject(error)
    this.#next?.done.reject(error)
    this.#sent = undefined
    this.#next = undefined
    this.#onFatal(error)
  }
}

function storeError(answer: Response, action: string): BerthError {
  if (answer.type !== 'failed') return new BerthError('INTERNAL', `${action}: unexpected answer`)
  const { message, why } = answer
  switch (why) {
    case 'full':
      return new BerthError('NO_SPACE', `${action}: ${message}`, {
        hint: 'free space on the disk of the root folder',
      })
    case 'damaged':
      // Like a wrong configuration: starting again does not help, a person has to do something.
      return new BerthError('CONFIGURATION', `${action}: ${message}`, {
        hint: 'its files are damaged and were left as they are: restore the folder from a backup; containers run on',
      })
    default:
      return new BerthError('INTERNAL', `${action}: ${message}`)
  }
}
