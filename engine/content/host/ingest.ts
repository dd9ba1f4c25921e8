import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { BerthError, errnoOf } from '../../base/error.ts'
import { type Algorithm, algorithmOf, type Digest } from '../digest.ts'
import { mismatch, type Promised } from '../verify.ts'

/** Where the store puts a finished ingest, and how it forgets one. */
export interface IngestHome {
  readonly path: string
  /** Makes the file, already synced, the blob of this digest. */
  publish(digest: Digest): Promise<void>
  /** Removes the file. */
  discard(): Promise<void>
  /** Others may open this ingest again. */
  released(): void
}

/**
 * Content on its way in. Bytes are appended; after a crash the next `open` of the same key finds those that reached
 * the disk and goes on behind them. `commit` is all or nothing. Disposal without commit or discard keeps the bytes.
 * One writer at a time: the store refuses a second one of the same key.
 */
export class Ingest implements AsyncDisposable {
  readonly #file: FileHandle
  readonly #home: IngestHome
  readonly #algorithm: Algorithm
  #hash: Hash
  #offset: number
  #closed = false

  private constructor(
    file: FileHandle,
    home: IngestHome,
    state: { algorithm: Algorithm; hash: Hash; offset: number },
  ) {
    this.#file = file
    this.#home = home
    this.#algorithm = state.algorithm
    this.#hash = state.hash
    this.#offset = state.offset
  }

  /** Takes up an ingest's file: what is there already is hashed first. */
  static async resume(file: FileHandle, home: IngestHome, algorithm: Algorithm): Promise<Ingest> {
    const { size } = await file.stat()
    const hash = await hashFile(home.path, algorithm, size)
    return new Ingest(file, home, { algorithm, hash, offset: size })
  }

  /** Bytes that are here: where a resumed transfer goes on. */
  get offset(): number {
    return this.#offset
  }

  /** The digest of the bytes so far: for content that comes without one. */
  get digest(): Digest {
    return `${this.#algorithm}:${this.#hash.copy().digest('hex')}`
  }

  /** Appends bytes. A full disk is `NO_SPACE`. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk)
    try {
      for (let done = 0; done < chunk.length; ) {
        const { bytesWritten } = await this.#file.write(chunk, done, chunk.length - done, this.#offset + done)
        done += bytesWritten
      }
    } catch (error) {
      if (errnoOf(error) !== 'ENOSPC') throw error
      throw new BerthError('NO_SPACE', `Cannot write content to "${this.#home.path}": the disk is full`, {
        cause: error,
      })
    }
    this.#offset += chunk.length
  }

  /** Forgets all bytes and starts again at 0. */
  async restart(): Promise<void> {
    await this.#file.truncate(0)
    this.#hash = createHash(this.#algorithm)
    this.#offset = 0
  }

  /**
   * Verifies, makes durable and publishes. When the content is not what was promised, `DIGEST_MISMATCH`, and the
   * bytes are gone: they would fail again.
   */
  async commit(promised: Promised): Promise<void> {
    if (promised.sizeBytes !== undefined && promised.sizeBytes !== this.#offset) {
      await this.discard()
      throw mismatch(promised, { sizeBytes: this.#offset })
    }
    const algorithm = algorithmOf(promised.digest)
    // A pusher names the algorithm only at the end: another one than was begun with means reading once more.
    const hash =
      algorithm === this.#algorithm ? this.#hash : await hashFile(this.#home.path, algorithm, this.#offset)
    const digest: Digest = `${algorithm}:${hash.digest('hex')}`
    if (digest !== promised.digest) {
      await this.discard()
      throw mismatch(promised, { digest })
    }
    await this.#file.sync()
    await this.#close()
    await this.#home.publish(promised.digest)
    this.#home.released()
  }

  /** Removes the bytes. */
  async discard(): Promise<void> {
    await this.#close()
    await this.#home.discard()
    this.#home.released()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    await this.#close()
    this.#home.released()
  }

  async #close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#file.close()
  }
}

async function hashFile(path: string, algorithm: Algorithm, sizeBytes: number): Promise<Hash> {
  const hash = createHash(algorithm)
  if (sizeBytes === 0) return hash
  for await (const chunk of createReadStream(path, { end: sizeBytes - 1, highWaterMark: 1 << 18 }))
    hash.update(chunk)
  return hash
}
