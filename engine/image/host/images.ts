import { join } from 'node:path'
import { BerthError } from '../../base/error.ts'
import { chooseGarbage } from '../../content/collect.ts'
import type { Digest } from '../../content/digest.ts'
import { ContentStore } from '../../content/host/content-store.ts'
import type { Credentials } from '../../distribution/authorizer.ts'
import { RegistryClient } from '../../distribution/client.ts'
import type { HostSettings } from '../../distribution/endpoint.ts'
import type { Platform } from '../../distribution/media.ts'
import { platformOf } from '../../distribution/platform.ts'
import {
  formatReference,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../../distribution/reference.ts'
import type { Collection } from '../../store/collection.ts'
import { chainIds } from '../chain.ts'
import { findImage, nameOf } from '../find.ts'
import type { ImageRecord } from '../image.ts'
import { nodesOf } from '../nodes.ts'
import type { OnProgress } from '../progress.ts'
import { type ImageUser, planRemove } from '../remove.ts'
import { readArchive, saveImages } from './archive.ts'
import { type LayerRecord, Layers } from './layers.ts'
import { fetchImage, type InstallOptions, installImage } from './pull.ts'
import { pushImage } from './push.ts'

export interface ImagesOptions {
  /** The daemon's root: `ROOT/content` and `ROOT/layers` are used. */
  readonly root: string
  readonly images: Collection<ImageRecord>
  readonly layers: Collection<LayerRecord>
  /** The launcher's file. */
  readonly launcher: string
  readonly hosts: Readonly<Record<string, HostSettings>>
  /** The containers made from an image: what they use is never removed. */
  readonly users: (imageId: Digest) => readonly ImageUser[]
}

/** `auth`: for the registry that the reference names. */
export interface TransferOptions {
  readonly auth?: Credentials
  readonly onProgress?: OnProgress
  readonly signal: AbortSignal
}

/** An incomplete download nobody asked for again is kept this long. */
const graceMs = 24 * 3600_000

/**
 * The images of this machine. A record is written when everything it names is on disk and removed before any of it, so
 * an image is whole or absent. Pulls hold what they need, so a removal at the same time does not take it.
 */
export class Images implements AsyncDisposable {
  readonly #options: ImagesOptions
  readonly #content: ContentStore
  readonly #layers: Layers
  readonly #client: RegistryClient
  /** Content and layers that a pull in progress needs → how many pulls. */
  readonly #held = new Map<string, number>()

  private constructor(options: ImagesOptions, content: ContentStore, layers: Layers) {
    this.#options = options
    this.#content = content
    this.#layers = layers
    this.#client = new RegistryClient({ hosts: options.hosts })
  }

  /** Opens the images of a root and removes what a killed process left and nobody needs. */
  static async open(options: ImagesOptions): Promise<Images> {
    const content = await ContentStore.open(join(options.root, 'content'))
    const { layers: records, launcher } = options
    const layers = await Layers.open({ folder: join(options.root, 'layers'), content, records, launcher })
    const images = new Images(options, content, layers)
    await images.#dropIncomplete()
    await images.collect(Date.now())
    return images
  }

  /** Brings an image here, or the newer one that its tag names now. Layers that are here are not fetched. */
  async pull(text: string, options: TransferOptions & { platform?: Platform }): Promise<ImageRecord> {
    const reference = withDefaultTag(parseReference(text))
    return this.#withClient(reference, options.auth, (client) => this.#pull(client, reference, options))
  }

  /** Sends an image to the registry that its name tells. */
  async push(text: string, options: TransferOptions): Promise<Digest> {
    const reference = withDefaultTag(parseReference(text))
    const image = this.get(text)
    if (!image?.names.includes(formatReference(reference))) {
      throw new BerthError('NOT_FOUND', `Cannot push "${text}": no image here has this name`, {
        hint: `berth tag IMAGE ${text}`,
      })
    }
    const digest = await this.#withClient(reference, options.auth, (client) =>
      pushImage({
        client,
        content: this.#content,
        image,
        reference,
        onProgress: options.onProgress ?? (() => {}),
        signal: options.signal,
      }),
    )
    const { registry, repository } = reference
    const known = formatReference({ registry, repository, digest })
    const now = this.#options.images.get(image.id)
    if (now && !now.digests.includes(known)) {
      await this.#options.images.write({ put: { [now.id]: { ...now, digests: [...now.digests, known] } } })
    }
    return digest
  }

  /** An archive of images that `load` and `docker load` read: OCI's layout with docker's manifest.json beside it. */
  save(words: readonly string[], signal: AbortSignal): AsyncIterable<Buffer> {
    const wanted = words.map((word) => {
      const image = this.#existing(word)
      const name = nameOf(word)
      return { image, names: name !== undefined && image.names.includes(name) ? [name] : image.names }
    })
    return saveImages(this.#content, wanted, signal)
  }

  /** Takes the images of an archive: OCI's layout or docker's, plain or gzip. */
  async load(
    archive: AsyncIterable<Uint8Array>,
    options: Omit<TransferOptions, 'auth'> & { platform?: Platform },
  ): Promise<ImageRecord[]> {
    return this.#holding(async (hold) => {
      const install = this.#installOptions(options, hold)
      const loaded: ImageRecord[] = []
      for (const { manifest, names } of await readArchive(archive, install)) {
        let image = await installImage(manifest, names[0] ?? manifest.digest, {
          ...install,
          source: undefined,
        })
        image = await this.#record(image, {})
        for (const name of names) image = await this.#record(image, { name })
        loaded.push(image)
      }
      return loaded
    })
  }

  /** The image of a name, an id or the beginning of one; undefined when there is none, or several. */
  get(word: string): ImageRecord | undefined {
    return findImage(this.list(), word)
  }

  /** All images, the newest first. */
  list(): ImageRecord[] {
    return [...this.#options.images.entries()].map(([, image]) => image).sort((a, b) => b.created - a.created)
  }

  /** Gives an image another name; an image that had it loses it. */
  async tag(word: string, target: string): Promise<void> {
    const image = this.#existing(word)
    const reference = withDefaultTag(parseReference(target))
    if (reference.digest !== undefined) {
      throw new BerthError(
        'INVALID',
        `Cannot tag "${word}" as "${target}": refusing to create a tag with a digest reference`,
      )
    }
    await this.#record(image, { name: formatReference(reference) })
  }

  /** `docker rmi`: what was untagged (full names) and deleted (ids). */
  async remove(
    word: string,
    options: { force?: boolean } = {},
  ): Promise<{ untagged: readonly string[]; deleted: readonly Digest[] }> {
    const image = this.#existing(word)
    const plan = planRemove(image, word, {
      users: this.#options.users(image.id),
      force: options.force ?? false,
    })
    if (!plan.deleted) {
      const left = {
        ...image,
        names: image.names.filter((one) => !plan.untagged.includes(one)),
        digests: image.digests.filter((one) => !plan.untagged.includes(one)),
      }
      await this.#options.images.write({ put: { [image.id]: left } })
      return { untagged: plan.untagged, deleted: [] }
    }
    await this.#options.images.write({ remove: [image.id] })
    await this.#removeUnused(nodesOf(image))
    return { untagged: plan.untagged, deleted: [image.id] }
  }

  /** Removes images without a name that no container uses; gives their ids. */
  async prune(): Promise<Digest[]> {
    const deleted: Digest[] = []
    for (const image of this.list()) {
      if (image.names.length > 0 || this.#options.users(image.id).length > 0) continue
      deleted.push(...(await this.remove(image.id, { force: true })).deleted)
    }
    return deleted
  }

  /** An image's layers below `folder`, top first: overlay's lower directories. */
  async rootfs(imageId: string): Promise<{ folder: string; lower: string[] }> {
    const image = this.#existing(imageId)
    const lower = chainIds(image.config.rootfs.diff_ids).map((chainId) => {
      const layer = this.#layers.get(chainId)
      if (!layer)
        throw new BerthError('NOT_FOUND', `Cannot use image "${imageId}": its layer ${chainId} is gone`, {
          hint: 'pull it again',
        })
      return String(layer.number)
    })
    return { folder: this.#layers.folder, lower: lower.length === 0 ? ['0'] : lower.reverse() }
  }

  /** Removes content and layers that no image needs: what interrupted pulls left, once it is old. */
  async collect(now: number): Promise<void> {
    const candidates: { key: string; modified: number }[] = []
    for await (const { digest, modified } of this.#content.list()) candidates.push({ key: digest, modified })
    for (const chainId of this.#layers.list()) {
      candidates.push({ key: `layer ${chainId}`, modified: this.#layers.get(chainId)?.unpacked ?? 0 })
    }
    await this.#removeGarbage(candidates, { now, graceMs })
    for await (const { key, modified } of this.#content.listIngests()) {
      if (now - modified >= graceMs) await this.#content.removeIngest(key)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]()
  }

  async #pull(
    client: RegistryClient,
    reference: Reference,
    options: TransferOptions & { platform?: Platform },
  ): Promise<ImageRecord> {
    return this.#holding(async (hold) => {
      const fetched = await fetchImage({ ...this.#installOptions(options, hold), client, reference })
      const { registry, repository, tag } = reference
      const digest = formatReference({ registry, repository, digest: fetched.asked })
      const name =
        tag === undefined || reference.digest !== undefined
          ? undefined
          : formatReference({ registry, repository, tag })
      return this.#record(fetched.image, { digest, ...(name === undefined ? {} : { name }) })
    })
  }

  #installOptions(
    options: TransferOptions & { platform?: Platform },
    hold: (nodes: readonly string[]) => void,
  ): InstallOptions {
    return {
      content: this.#content,
      layers: this.#layers,
      platform: options.platform ?? platformOf(process.arch),
      onProgress: options.onProgress ?? (() => {}),
      signal: options.signal,
      hold,
    }
  }

  /** Work whose nodes are not removed until it ends: then a record names them, or nobody needs them. */
  async #holding<T>(work: (hold: (nodes: readonly string[]) => void) => Promise<T>): Promise<T> {
    const held = new Set<string>()
    try {
      return await work((nodes) => {
        for (const node of nodes) {
          if (held.has(node)) continue
          held.add(node)
          this.#held.set(node, (this.#held.get(node) ?? 0) + 1)
        }
      })
    } finally {
      for (const node of held) {
        const left = (this.#held.get(node) ?? 1) - 1
        if (left === 0) this.#held.delete(node)
        else this.#held.set(node, left)
      }
    }
  }

  /** Writes an image with one more name or digest, in one transaction with who loses that name. */
  async #record(image: ImageRecord, add: { name?: string; digest?: string }): Promise<ImageRecord> {
    const known = this.#options.images.get(image.id)
    const put: Record<string, ImageRecord> = {}
    for (const other of this.list()) {
      if (add.name === undefined || other.id === image.id || !other.names.includes(add.name)) continue
      put[other.id] = { ...other, names: other.names.filter((one) => one !== add.name) }
    }
    const record = {
      ...(known ?? image),
      names: added(known?.names ?? image.names, add.name),
      digests: added(known?.digests ?? image.digests, add.digest),
    }
    put[image.id] = record
    await this.#options.images.write({ put })
    return record
  }

  #existing(word: string): ImageRecord {
    const image = this.get(word)
    if (image) return image
    const name = nameOf(word)
    const shown =
      name === undefined ||
      /^(sha256:)?[0-9a-f]{12,}$/.test(word) ||
      word.includes('@') ||
      /:[^/]*$/.test(word)
        ? word
        : `${word}:latest`
    throw new BerthError('NOT_FOUND', `No such image: ${shown}`, {
      hint: 'berth images lists those that are here',
    })
  }

  /** A client of its own where credentials are given: they and their tokens end with the transfer. */
  async #withClient<T>(
    reference: Reference,
    auth: Credentials | undefined,
    work: (client: RegistryClient) => Promise<T>,
  ): Promise<T> {
    if (auth === undefined) return work(this.#client)
    await using client = new RegistryClient({
      hosts: this.#options.hosts,
      credentials: async (registry) => (registry === reference.registry ? auth : undefined),
    })
    return work(client)
  }

  /** Records whose layers are gone (a restored database, a deleted folder) are no images any more. */
  async #dropIncomplete(): Promise<void> {
    const broken = this.list().filter((image) =>
      chainIds(image.config.rootfs.diff_ids).some((one) => !this.#layers.get(one)),
    )
    if (broken.length > 0) await this.#options.images.write({ remove: broken.map((image) => image.id) })
  }

  async #removeUnused(nodes: readonly string[]): Promise<void> {
    await this.#removeGarbage(
      nodes.map((key) => ({ key, modified: 0 })),
      { now: 0, graceMs: 0 },
    )
  }

  async #removeGarbage(
    candidates: readonly { key: string; modified: number }[],
    age: { now: number; graceMs: number },
  ): Promise<void> {
    const images = new Map(this.list().map((image) => [image.id as string, image]))
    const garbage = chooseGarbage({
      candidates,
      roots: images.keys(),
      leases: [...this.#held.keys()].map((node) => ({ node })),
      references: (node) => {
        const image = images.get(node)
        return image ? nodesOf(image) : []
      },
      ...age,
    })
    for (const node of garbage) {
      if (node.startsWith('layer ')) await this.#layers.remove(node.slice('layer '.length) as Digest)
      else await this.#content.remove(node as Digest)
    }
  }
}

function added(list: readonly string[], one: string | undefined): readonly string[] {
  return one === undefined || list.includes(one) ? list : [...list, one]
}
