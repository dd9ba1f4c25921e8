import { type FileHandle, open, opendir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream'
import { BerthError, errnoOf, isBerthError } from '../../base/error.ts'
import { ensureFolder, syncFolder } from '../../base/host/files.ts'
import { type Algorithm, algorithmOf, type Digest, hexOf, isDigest } from '../digest.ts'
import { mismatch, type Promised, verifyBytes, verifyStream } from '../verify.ts'
import { Ingest } from './ingest.ts'

export interface StoredBlob {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly modified: number
}

/**
 * Blobs by digest:
 *
 *     FOLDER/blobs/sha256/HEX   complete, verified, never changed
 *     FOLDER/ingest/KEY         on its way in, possibly cut off
 *
 * A file under `blobs` was synced before it was renamed there, so whatever is killed when, a blob is whole or absent.
 */
export class ContentStore {
  readonly #folder: string
  readonly #open = new Set<string>()

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** Opens a store, making its folders. */
  static async open(folder: string): Promise<ContentStore> {
    for (const part of ['', 'blobs', 'blobs/sha256', 'blobs/sha512', 'ingest'])
      await ensureFolder(join(folder, part))
    return new ContentStore(folder)
  }

  /** The size of a blob, or undefined when it is not here. */
  async size(digest: Digest): Promise<number | undefined> {
    try {
      return (await stat(this.#blob(digest))).size
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    }
  }

  /**
   * The whole blob; its end comes only when digest and size are right. `NOT_FOUND` when it is not here.
   */
  async read(promised: Promised): Promise<Readable> {
    const file = await this.#openBlob(promised)
    const verified = verifyStream(promised)
    pipeline(file.createReadStream({ highWaterMark: 1 << 18 }), verified, () => {})
    return verified
  }

  /** Bytes `start` to `end` inclusive, unverified: for serving a range, whose reader verifies the whole. */
  async readRange(digest: Digest, range: { start: number; end: number }): Promise<Readable> {
    const file = await this.#openBlob({ digest })
    return file.createReadStream({ ...range, highWaterMark: 1 << 18 })
  }

  /** A small blob in memory, verified. `INVALID` when it is larger than `limitBytes`. */
  async readBytes(promised: Promised, limitBytes: number): Promise<Buffer> {
    await using file = await this.#openBlob(promised)
    const { size } = await file.stat()
    if (size > limitBytes) {
      throw new BerthError(
        'INVALID',
        `Cannot read ${promised.digest}: it has ${size} bytes and at most ${limitBytes} are allowed`,
      )
    }
    return verifyBytes(await file.readFile(), promised)
  }

  /**
   * Opens the ingest of this key (a file name), new or where it was left. `algorithm` is what its digest will
   * probably be in. `CONFLICT` while somebody else of this process has it open.
   */
  async ingest(key: string, algorithm: Algorithm = 'sha256'): Promise<Ingest> {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/.test(key)) {
      throw new BerthError('INVALID', `Cannot ingest as ${JSON.stringify(key)}: it is no file name`)
    }
    if (this.#open.has(key)) {
      throw new BerthError('CONFLICT', `Cannot ingest "${key}": somebody else is writing it`)
    }
    this.#open.add(key)
    const path = join(this.#folder, 'ingest', key)
    let file: FileHandle | undefined
    try {
      file = await openToResume(path)
      return await Ingest.resume(
        file,
        {
          path,
          publish: (digest) => this.#publish(path, digest),
          discard: () => rm(path, { force: true }),
          released: () => this.#open.delete(key),
        },
        algorithm,
      )
    } catch (error) {
      this.#open.delete(key)
      await file?.close()
      throw error
    }
  }

  /** The size of what has arrived of an ingest, or undefined. */
  async ingestSize(key: string): Promise<number | undefined> {
    try {
      return (await stat(join(this.#folder, 'ingest', key))).size
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    }
  }

  /** Puts a few bytes in, verified against the promise. No effect when the blob is here already, undamaged. */
  async put(content: Uint8Array, promised: Promised): Promise<void> {
    verifyBytes(content, promised)
    if ((await this.size(promised.digest)) === content.length && !(await this.removeDamaged(promised.digest)))
      return
    await using ingest = await this.ingest(`put-${crypto.randomUUID()}`, algorithmOf(promised.digest))
    await ingest.write(content)
    await ingest.commit(promised)
  }

  /** Removes a blob; no effect when it is not here. Readers that have it open read on. */
  async remove(digest: Digest): Promise<void> {
    await rm(this.#blob(digest), { force: true })
  }

  /** Removes a blob whose bytes are not what its digest says, so that it is brought anew; tells whether it did. */
  async removeDamaged(digest: Digest): Promise<boolean> {
    try {
      for await (const _ of await this.read({ digest }));
      return false
    } catch (error) {
      if (!isBerthError(error, 'DIGEST_MISMATCH')) throw error
      await this.remove(digest)
      return true
    }
  }

  /** Removes an ingest that nobody has open; no effect otherwise. */
  async removeIngest(key: string): Promise<void> {
    if (!this.#open.has(key)) await rm(join(this.#folder, 'ingest', key), { force: true })
  }

  /** All blobs, in no order. */
  async *list(): AsyncGenerator<StoredBlob> {
    for (const algorithm of ['sha256', 'sha512']) {
      for await (const { name, size, modified } of filesOf(join(this.#folder, 'blobs', algorithm))) {
        const digest = `${algorithm}:${name}`
        if (isDigest(digest)) yield { digest, sizeBytes: size, modified }
      }
    }
  }

  /** The keys of all ingests that nobody has open. */
  async *listIngests(): AsyncGenerator<{ key: string; sizeBytes: number; modified: number }> {
    for await (const { name, size, modified } of filesOf(join(this.#folder, 'ingest'))) {
      if (!this.#open.has(name)) yield { key: name, sizeBytes: size, modified }
    }
  }

  #blob(digest: Digest): string {
    return join(this.#folder, 'blobs', algorithmOf(digest), hexOf(digest))
  }

  async #openBlob(promised: Promised): Promise<FileHandle> {
    let file: FileHandle
    try {
      file = await open(this.#blob(promised.digest), 'r')
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
      throw new BerthError('NOT_FOUND', `Cannot read content ${promised.digest}: it is not here`, {
        cause: error,
      })
    }
    const { size } = await file.stat()
    if (promised.sizeBytes !== undefined && size !== promised.sizeBytes) {
      await file.close()
      throw mismatch(promised, { sizeBytes: size })
    }
    return file
  }

  async #publish(path: string, digest: Digest): Promise<void> {
    await rename(path, this.#blob(digest))
    await syncFolder(join(this.#folder, 'blobs', algorithmOf(digest)))
  }
}

/** Opens for writing at any position, making the file when it is missing. */
async function openToResume(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+')
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
    return open(path, 'wx+', 0o600)
  }
}

async function* filesOf(folder: string): AsyncGenerator<{ name: string; size: number; modified: number }> {
  for await (const entry of await opendir(folder)) {
    if (!entry.isFile()) continue
    const found = await stat(join(folder, entry.name)).catch(() => undefined)
    if (found) yield { name: entry.name, size: found.size, modified: found.mtimeMs }
  }
}
