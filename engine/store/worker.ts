/**
 * The thread that owns SQLite. It knows rows, not objects. Two files, so that heartbeats do not pay for a disk sync:
 *
 *   berth.sqlite   synchronous=FULL     objects, records of collections
 *   events.sqlite  synchronous=NORMAL   Event, Lease
 */
import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import type { Mutation } from './journal.ts'
import type { Request, Response, WorkerSettings } from './protocol.ts'

/** Grows with every change of the tables below; a newer file is refused. */
const schemaVersion = 1
/** SQLite's result codes that people can do something about: FULL, CORRUPT, NOTADB. */
const reasons: Readonly<Record<number, 'full' | 'damaged'>> = { 13: 'full', 11: 'damaged', 26: 'damaged' }

class File {
  readonly #database: DatabaseSync
  readonly #statements

  constructor(path: string, synchronous: 'FULL' | 'NORMAL') {
    const database = new DatabaseSync(path)
    database.exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=${synchronous}; PRAGMA busy_timeout=5000`)
    const version = Number(database.prepare('PRAGMA user_version').get()?.user_version)
    if (version > schemaVersion) {
      throw new Error(`"${path}" was written by a newer version of berth (layout ${version})`)
    }
    // A file that is as it should be is not written to: one that is damaged stays as it was found.
    if (version < schemaVersion)
      database.exec(`
      CREATE TABLE IF NOT EXISTS objects (a TEXT, b TEXT, c TEXT, version INTEGER, body TEXT, PRIMARY KEY (a, b, c)) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS records (a TEXT, b TEXT, c TEXT, version INTEGER, body TEXT, PRIMARY KEY (a, b, c)) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;
      PRAGMA user_version=${schemaVersion}`)
    this.#database = database
    const put = (table: string) => database.prepare(`INSERT OR REPLACE INTO ${table} VALUES (?, ?, ?, ?, ?)`)
    const remove = (table: string) => database.prepare(`DELETE FROM ${table} WHERE a = ? AND b = ? AND c = ?`)
    this.#statements = {
      put: { objects: put('objects'), records: put('records') },
      remove: { objects: remove('objects'), records: remove('records') },
      meta: database.prepare('INSERT OR REPLACE INTO meta VALUES (?, ?)'),
    }
  }

  objects(): string[] {
    return this.#database
      .prepare('SELECT body FROM objects')
      .all()
      .map((row) => String(row.body))
  }

  records(): [string, string, string][] {
    return this.#database
      .prepare('SELECT a, c, body FROM records')
      .all()
      .map((row) => [String(row.a), String(row.c), String(row.body)])
  }

  meta(name: string): number {
    return Number(this.#database.prepare('SELECT value FROM meta WHERE name = ?').get(name)?.value ?? 0)
  }

  commit(mutations: readonly Mutation[], meta: Readonly<Record<string, number>>): void {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      for (const { table, key, version, body } of mutations) {
        if (body === null) this.#statements.remove[table].run(...key)
        else this.#statements.put[table].run(...key, version, body)
      }
      for (const [name, value] of Object.entries(meta)) this.#statements.meta.run(name, value)
      this.#database.exec('COMMIT')
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
  }

  close(): void {
    this.#database.close()
  }
}

const port = parentPort
if (!port) throw new Error('The store worker runs as a worker thread only')

function answer(response: Response): void {
  port?.postMessage(response)
}

function failed(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error)
  // The low byte is the result, the others tell more of it.
  const why = reasons[Number((error as { errcode?: unknown }).errcode) & 0xff]
  answer({ type: 'failed', message, ...(why && { why }) })
}

try {
  const { mainFile, eventsFile } = workerData as WorkerSettings
  const main = new File(mainFile, 'FULL')
  const events = new File(eventsFile, 'NORMAL')
  answer({
    type: 'loaded',
    loaded: {
      objects: [...main.objects(), ...events.objects()],
      records: main.records(),
      version: Math.max(main.meta('version'), events.meta('version')),
      reserved: main.meta('reserved'),
    },
  })
  let reservedSaved = main.meta('reserved')
  port.on('message', (request: Request) => {
    if (request.type === 'close') {
      main.close()
      events.close()
      answer({ type: 'closed' })
      port.close()
      return
    }
    try {
      const { version, reserved } = request
      const inMain = request.mutations.filter((m) => m.file === 'main')
      const inEvents = request.mutations.filter((m) => m.file === 'events')
      if (inMain.length > 0 || reserved > reservedSaved) {
        main.commit(inMain, { version, reserved })
        reservedSaved = reserved
      }
      if (inEvents.length > 0) events.commit(inEvents, { version })
      answer({ type: 'committed' })
    } catch (error) {
      failed(error)
    }
  })
} catch (error) {
  failed(error)
  port.close()
}
