import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BerthError, errnoOf } from '../../base/error.ts'
import type { Clock } from '../../base/host/clock.ts'
import { ensureFolder, syncFolder } from '../../base/host/files.ts'
import type { Log } from '../../base/host/log.ts'
import type { Collection } from '../../store/collection.ts'
import type { Volume, VolumeRecord } from '../volume.ts'

export interface VolumesOptions {
  /** `ROOT/volumes`; a volume's files are in `NAME/_data` below it. */
  readonly folder: string
  readonly records: Collection<VolumeRecord>
  readonly clock: Clock
  readonly log: Log
  /** Ids of the containers that use a volume. */
  readonly usersOf: (name: string) => readonly string[]
}

/** How a folder is called while it is being removed; no volume's name begins with a dot. */
const removing = '.removing-'

/**
 * Named volumes. The folder is made before the record is written and renamed away before the record goes, so after a
 * crash either both are there, or the folder alone: a volume whose record was not written yet (or was lost with the
 * database) is taken in again, because its files may be a person's.
 */
export class Volumes {
  readonly #options: VolumesOptions

  private constructor(options: VolumesOptions) {
    this.#options = options
  }

  /** Opens, ends removals that were cut off, and makes records and folders agree. */
  static async open(options: VolumesOptions): Promise<Volumes> {
    const volumes = new Volumes(options)
    await ensureFolder(options.folder, 0o711)
    await volumes.#restore()
    return volumes
  }

  list(): Volume[] {
    return [...this.#options.records.entries()].map(([, record]) => this.#withFolder(record))
  }

  get(name: string): Volume | undefined {
    const record = this.#options.records.get(name)
    return record && this.#withFolder(record)
  }

  /** Makes a volume; one that is there already is given as it is, like docker's. */
  async create(
    name: string,
    { labels = {}, anonymous = false }: Partial<VolumeRecord> = {},
  ): Promise<Volume> {
    const present = this.get(name)
    if (present) return present
    const { folder, clock, records } = this.#options
    const data = join(folder, name, '_data')
    await mkdir(data, { recursive: true, mode: 0o755 })
    // Whatever the umask: the container's user has to get in, and docker's have this mode.
    await chmod(join(folder, name), 0o711)
    await chmod(data, 0o755)
    await syncFolder(join(folder, name))
    await syncFolder(folder)
    const record = { name, created: clock.now(), labels, anonymous }
    await records.write({ put: { [name]: record } })
    return this.#withFolder(record)
  }

  /** The data folder of a container's volume; made when missing. Idempotent. */
  ensure(name: string, options: { readonly anonymous: boolean }): Promise<Volume> {
    return this.create(name, options)
  }

  /** Removes a volume with its files. Idempotent; refuses (CONFLICT) one that a container uses. */
  async remove(name: string): Promise<void> {
    const users = this.#options.usersOf(name)
    if (users.length > 0) {
      throw new BerthError('CONFLICT', `remove ${name}: volume is in use - [${users.join(', ')}]`, {
        hint: 'remove these containers first: berth rm',
        details: { containers: users },
      })
    }
    const { folder, records } = this.#options
    const away = join(folder, `${removing}${randomBytes(6).toString('hex')}`)
    try {
      await rename(join(folder, name), away)
      await syncFolder(folder)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
    }
    await records.write({ remove: [name] })
    await rm(away, { recursive: true, force: true })
  }

  #withFolder(record: VolumeRecord): Volume {
    return { ...record, folder: join(this.#options.folder, record.name, '_data') }
  }

  async #restore(): Promise<void> {
    const { folder, records, log } = this.#options
    const there = new Set<string>()
    for (const name of await readdir(folder)) {
      const path = join(folder, name)
      if (name.startsWith(removing)) await rm(path, { recursive: true, force: true })
      else if ((await stat(join(path, '_data')).catch(() => undefined))?.isDirectory()) there.add(name)
    }
    const lost = [...records.entries()].map(([name]) => name).filter((name) => !there.has(name))
    const found: Record<string, VolumeRecord> = {}
    for (const name of there) {
      if (records.get(name)) continue
      const { mtimeMs } = await stat(join(folder, name))
      found[name] = { name, created: Math.floor(mtimeMs), labels: {}, anonymous: false }
    }
    if (lost.length > 0) log('warn', 'volumes whose folders are gone were forgotten', { volumes: lost })
    if (Object.keys(found).length > 0)
      log('info', 'volumes without a record were taken in', { volumes: Object.keys(found) })
    if (lost.length > 0 || Object.keys(found).length > 0) await records.write({ put: found, remove: lost })
  }
}
