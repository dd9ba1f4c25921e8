import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { BerthError, isBerthError } from '../../base/error.ts'
import { systemClock } from '../../base/host/clock.ts'
import { ensureFolder, syncFolder } from '../../base/host/files.ts'
import type { Digest } from '../../content/digest.ts'
import type { ContentStore } from '../../content/host/content-store.ts'
import type { RegistryClient } from '../../distribution/client.ts'
import type { Compression } from '../../distribution/media.ts'
import type { Reference } from '../../distribution/reference.ts'
import { unpackLayer } from '../../runtime/host/unpack.ts'
import type { Collection } from '../../store/collection.ts'
import type { ImageLayer } from '../image.ts'
import type { OnProgress } from '../progress.ts'
import { Gate, Shared } from './shared.ts'

/** Where a layer lies, by its chainID. */
export interface LayerRecord {
  /** Its folder's name: short, because overlay's options hold all of an image's: with long names they overflow one page, and mount(2) succeeds on what was cut. */
  readonly number: number
  readonly sizeBytes: number
  /** In ms; what no image needs is kept for a day, so that an interrupted pull goes on. */
  readonly unpacked: number
}

/** A layer that an image needs. */
export interface WantedLayer extends ImageLayer {
  readonly chainId: Digest
  readonly compression: Compression
}

/** Where a layer's bytes come from when they are not here. */
export interface LayerSource {
  readonly client: RegistryClient
  readonly reference: Reference
}

/**
 * Unpacked layers:
 *
 *     FOLDER/0        empty, the only layer of an image without any
 *     FOLDER/N        a layer, complete and synced; its record names it
 *     FOLDER/tmp-N    being unpacked, or being removed
 *
 * The record is written after the folder and removed before it: what has no record is removed at the next start.
 */
export class Layers {
  readonly folder: string
  readonly #content: ContentStore
  readonly #records: Collection<LayerRecord>
  readonly #launcher: string
  readonly #downloads = new Shared<void>()
  readonly #unpacks = new Shared<LayerRecord>()
  readonly #downloadGate = new Gate(3)
  readonly #unpackGate = new Gate(2)
  #next: number

  private constructor(options: LayersOptions, next: number) {
    this.folder = options.folder
    this.#content = options.content
    this.#records = options.records
    this.#launcher = options.launcher
    this.#next = next
  }

  /** Opens the folder and removes what a killed process left. */
  static async open(options: LayersOptions): Promise<Layers> {
    await ensureFolder(options.folder)
    await mkdir(join(options.folder, '0'), { recursive: true, mode: 0o755 })
    const known = new Map(
      [...options.records.entries()].map(([chainId, record]) => [String(record.number), chainId]),
    )
    const there = new Set(await readdir(options.folder))
    for (const name of there) {
      if (name !== '0' && !known.has(name)) {
        await rm(join(options.folder, name), { recursive: true, force: true, maxRetries: 5 })
      }
    }
    const lost = [...known].filter(([name]) => !there.has(name)).map(([, chainId]) => chainId)
    if (lost.length > 0) await options.records.write({ remove: lost })
    const next = 1 + Math.max(0, ...[...known.keys()].map(Number))
    return new Layers(options, next)
  }

  /** The record of an unpacked layer. */
  get(chainId: Digest): LayerRecord | undefined {
    return this.#records.get(chainId)
  }

  /** All chainIDs that are unpacked. */
  *list(): Generator<Digest> {
    for (const [chainId] of this.#records.entries()) yield chainId as Digest
  }

  /**
   * Downloads (resuming) and unpacks the last layer of a chain (bottom first), after those below it, unless it is here.
   * Whoever wants the same layer at once shares the work.
   */
  async ensure(
    chain: readonly WantedLayer[],
    source: LayerSource | undefined,
    wanted: { onProgress: OnProgress; signal: AbortSignal },
  ): Promise<LayerRecord> {
    const layer = chain.at(-1)
    if (!layer) return { number: 0, sizeBytes: 0, unpacked: 0 }
    const here = this.#records.get(layer.chainId)
    if (here) {
      wanted.onProgress({ layer: layer.digest, state: 'exists' })
      return here
    }
    wanted.onProgress({ layer: layer.digest, state: 'waiting' })
    return this.#unpacks.run(layer.chainId, wanted, async (onProgress, signal) => {
      await this.download(layer, source, { onProgress, signal })
      onProgress({ layer: layer.digest, state: 'downloaded' })
      const below = chain.slice(0, -1)
      await this.ensure(below, source, { onProgress: () => {}, signal })
      const unpack = () => this.#unpackGate.enter(() => this.#unpack(layer, below, { onProgress, signal }))
      const record = await unpack().catch(async (error) => {
        // Content that was damaged on this disk is brought once more.
        if (!source || !isBerthError(error, 'DIGEST_MISMATCH')) throw error
        if (!(await this.#content.removeDamaged(layer.digest))) throw error
        await this.download(layer, source, { onProgress, signal })
        return unpack()
      })
      onProgress({ layer: layer.digest, state: 'done' })
      return record
    })
  }

  /** Brings a layer's bytes into the content store, from where an earlier download was cut off. */
  async download(
    layer: ImageLayer,
    source: LayerSource | undefined,
    wanted: { onProgress: OnProgress; signal: AbortSignal },
  ): Promise<void> {
    if ((await this.#content.size(layer.digest)) === layer.sizeBytes) return
    await this.#downloads.run(layer.digest, wanted, (onProgress, signal) =>
      this.#downloadGate.enter(() => this.#download(layer, source, { onProgress, signal })),
    )
  }

  /** Removes a layer; no effect when it is not here. Nothing may use it. */
  async remove(chainId: Digest): Promise<void> {
    const record = this.#records.get(chainId)
    if (!record) return
    await this.#records.write({ remove: [chainId] })
    const leaving = join(this.folder, `tmp-${record.number}`)
    await rename(join(this.folder, String(record.number)), leaving)
    await rm(leaving, { recursive: true, force: true })
  }

  async #download(
    layer: ImageLayer,
    source: LayerSource | undefined,
    wanted: { onProgress: OnProgress; signal: AbortSignal },
  ): Promise<void> {
    if (!source) {
      throw new BerthError('NOT_FOUND', `Cannot use layer ${layer.digest}: the archive does not hold it`)
    }
    const { onProgress, signal } = wanted
    const promised = { digest: layer.digest, sizeBytes: layer.sizeBytes }
    for (let attempt = 0; ; attempt++) {
      signal.throwIfAborted()
      await using ingest = await this.#content.ingest(
        layer.digest.replace(':', '-'),
        layer.digest.startsWith('sha512') ? 'sha512' : 'sha256',
      )
      if (ingest.offset > layer.sizeBytes) await ingest.restart()
      const resumed = ingest.offset > 0
      for await (const chunk of source.client.blob(source.reference, promised, {
        signal,
        offset: ingest.offset,
      })) {
        await ingest.write(chunk)
        onProgress({
          layer: layer.digest,
          state: 'downloading',
          currentBytes: ingest.offset,
          totalBytes: layer.sizeBytes,
        })
      }
      try {
        await ingest.commit(promised)
        return
      } catch (error) {
        // What a power failure left of an earlier try may hold holes; the whole is asked for once more.
        if (!resumed || attempt > 0 || !isBerthError(error, 'DIGEST_MISMATCH')) throw error
      }
    }
  }

  async #unpack(
    layer: WantedLayer,
    below: readonly WantedLayer[],
    wanted: { onProgress: OnProgress; signal: AbortSignal },
  ): Promise<LayerRecord> {
    const { onProgress, signal } = wanted
    signal.throwIfAborted()
    const number = this.#next++
    const lower = below
      .map((one) => join(this.folder, String(this.#records.get(one.chainId)?.number)))
      .reverse()
    const temporary = join(this.folder, `tmp-${number}`)
    const final = join(this.folder, String(number))
    try {
      await mkdir(temporary, { mode: 0o755 })
      const source = await this.#content.read({ digest: layer.digest, sizeBytes: layer.sizeBytes })
      const { sizeBytes } = await unpackLayer({
        source,
        compression: layer.compression,
        diffId: layer.diffId,
        folder: temporary,
        lower,
        launcher: this.#launcher,
        onRead: (currentBytes) =>
          onProgress({ layer: layer.digest, state: 'extracting', currentBytes, totalBytes: layer.sizeBytes }),
        signal,
      })
      await rename(temporary, final)
      await syncFolder(this.folder)
      const record = { number, sizeBytes, unpacked: systemClock.now() }
      await this.#records.write({ put: { [layer.chainId]: record } })
      return record
    } catch (error) {
      await rm(temporary, { recursive: true, force: true })
      throw error
    }
  }
}

export interface LayersOptions {
  readonly folder: string
  readonly content: ContentStore
  readonly records: Collection<LayerRecord>
  /** The launcher's file. */
  readonly launcher: string
}
