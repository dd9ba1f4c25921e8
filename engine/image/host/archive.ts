import { posix } from 'node:path'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { pack } from 'tar-stream'
import { BerthError } from '../../base/error.ts'
import type { Digest } from '../../content/digest.ts'
import type { ContentStore } from '../../content/host/content-store.ts'
import { digestOf } from '../../content/verify.ts'
import { type FetchedManifest, parseIndex, parseManifest } from '../../distribution/manifest.ts'
import { type Descriptor, isIndexType, mediaTypes } from '../../distribution/media.ts'
import { choosePlatform } from '../../distribution/platform.ts'
import { familiar, formatReference, parseReference, withDefaultTag } from '../../distribution/reference.ts'
import { cleanPath } from '../../runtime/layer.ts'
import { readTar } from '../../runtime/tar.ts'
import type { ImageRecord } from '../image.ts'
import type { InstallOptions } from './pull.ts'

const documentLimitBytes = 8 << 20
/** Where containerd and docker put a full name in an OCI layout's index. */
const nameKey = 'io.containerd.image.name'
const refKey = 'org.opencontainers.image.ref.name'

/** Writes images as one tar archive: each blob once, OCI's `index.json`, docker's `manifest.json`. */
export async function* saveImages(
  content: ContentStore,
  wanted: readonly { image: ImageRecord; names: readonly string[] }[],
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const tar = pack()
  const written = writeArchive(tar, { content, wanted, signal })
  written.catch((error) => tar.destroy(error))
  for await (const part of tar) yield part as Buffer
  await written
}

async function writeArchive(
  tar: ReturnType<typeof pack>,
  job: {
    content: ContentStore
    wanted: readonly { image: ImageRecord; names: readonly string[] }[]
    signal: AbortSignal
  },
): Promise<void> {
  const { content, wanted, signal } = job
  const path = (digest: Digest) => `blobs/${digest.replace(':', '/')}`
  const mtime = new Date(0)
  const text = (name: string, value: unknown) => tar.entry({ name, mtime }, JSON.stringify(value))
  text('oci-layout', { imageLayoutVersion: '1.0.0' })
  const done = new Set<Digest>()
  for (const { image } of wanted) {
    for (const digest of [image.manifest.digest, image.id, ...image.layers.map((layer) => layer.digest)]) {
      if (done.has(digest)) continue
      done.add(digest)
      const size = (await content.size(digest)) ?? 0
      await pipeline(
        await content.read({ digest }),
        tar.entry({ name: path(digest), size, mtime }) as unknown as Writable,
        { signal },
      )
    }
  }
  const manifests = wanted.flatMap(({ image, names }) => {
    const { os, architecture } = image.config
    const entry = { ...image.manifest, platform: { os, architecture } }
    if (names.length === 0) return [entry]
    return names.map((name) => ({
      ...entry,
      annotations: { [nameKey]: name, [refKey]: parseReference(name).tag ?? '' },
    }))
  })
  text('index.json', { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests })
  text(
    'manifest.json',
    wanted.map(({ image, names }) => ({
      Config: path(image.id),
      RepoTags: names.map((name) => familiar(parseReference(name))),
      Layers: image.layers.map((layer) => path(layer.digest)),
    })),
  )
  tar.finalize()
}

interface Stored {
  readonly digest: Digest
  readonly size: number
}

/** Takes an archive's files into the content store and gives the manifests of its images, with their full names. */
export async function readArchive(
  archive: AsyncIterable<Uint8Array>,
  options: InstallOptions,
): Promise<{ manifest: FetchedManifest; names: string[] }[]> {
  const files = await storeFiles(archive, options)
  const docker = await readDocument(files, 'manifest.json', options.content)
  if (Array.isArray(docker))
    return Promise.all(docker.map((entry) => dockerImage(entry, files, options.content)))
  const index = files.get('index.json')
  if (!index) {
    throw new BerthError('INVALID', 'Cannot load: the archive has neither manifest.json nor index.json', {
      hint: 'it should be made by "save", or be an OCI layout',
    })
  }
  const top = await fetched({ ...index, mediaType: mediaTypes.ociIndex }, options.content)
  return Promise.all(parseIndex(top).manifests.map((one) => ociImage(one, options)))
}

/** Every file by its path, links resolved: an old `docker save` links layers that it has already. */
async function storeFiles(
  archive: AsyncIterable<Uint8Array>,
  options: InstallOptions,
): Promise<Map<string, Stored>> {
  const { content, signal } = options
  const files = new Map<string, Stored>()
  const key = `load-${crypto.randomUUID()}`
  let path = ''
  let left = 0
  let ingest = await content.ingest(key)
  try {
    const finish = async () => {
      const stored = { digest: ingest.digest, size: ingest.offset }
      options.hold([stored.digest])
      await ingest.commit({ digest: stored.digest })
      files.set(path, stored)
      ingest = await content.ingest(key)
    }
    for await (const item of readTar(await decompressed(archive))) {
      signal.throwIfAborted()
      if ('data' in item) {
        await ingest.write(item.data)
        left -= item.data.length
        if (left === 0) await finish()
        continue
      }
      path = cleanPath(item.entry.path)
      left = item.entry.sizeBytes
      if (item.entry.type === 'file' && left === 0) await finish()
      if (item.entry.type !== 'symlink' && item.entry.type !== 'hardlink') continue
      const folder = item.entry.type === 'symlink' ? posix.dirname(path) : ''
      const target = files.get(cleanPath(`${folder}/${item.entry.link}`))
      if (target) files.set(path, target)
    }
  } finally {
    await ingest.discard()
  }
  return files
}

async function decompressed(archive: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Buffer>> {
  const chunks = archive[Symbol.asyncIterator]()
  const first = await chunks.next()
  const start = first.done ? Buffer.alloc(0) : Buffer.from(first.value)
  const whole = (async function* () {
    yield start
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield Buffer.from(next.value)
  })()
  if (start[0] !== 0x1f || start[1] !== 0x8b) return whole
  const gunzip = createGunzip({ chunkSize: 1 << 18 })
  pipeline(Readable.from(whole), gunzip).catch(() => {})
  return gunzip
}

async function dockerImage(
  entry: { Config?: unknown; RepoTags?: unknown; Layers?: unknown },
  files: Map<string, Stored>,
  content: ContentStore,
): Promise<{ manifest: FetchedManifest; names: string[] }> {
  const at = (name: unknown): Stored => {
    const found = typeof name === 'string' ? files.get(cleanPath(name)) : undefined
    if (found) return found
    throw new BerthError(
      'INVALID',
      `Cannot load: the archive's manifest.json names ${JSON.stringify(name)}, which is not in it`,
    )
  }
  const config = { mediaType: mediaTypes.ociConfig, ...at(entry.Config) }
  const layers = await Promise.all(
    (Array.isArray(entry.Layers) ? entry.Layers : []).map(async (name) => {
      const stored = at(name)
      return { mediaType: await layerType(stored, content), ...stored }
    }),
  )
  const names = (Array.isArray(entry.RepoTags) ? entry.RepoTags : []).map((name) =>
    formatReference(withDefaultTag(parseReference(String(name)))),
  )
  const own = await ownManifest(
    files,
    { config: config.digest, layers: layers.map((layer) => layer.digest) },
    content,
  )
  if (own) return { manifest: own, names }
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers }),
  )
  return { manifest: { digest: digestOf(bytes), mediaType: mediaTypes.ociManifest, bytes }, names }
}

/** The manifest that the archive's OCI index has of the same image: its digest is the one that a registry knows. */
async function ownManifest(
  files: Map<string, Stored>,
  image: { config: Digest; layers: Digest[] },
  content: ContentStore,
): Promise<FetchedManifest | undefined> {
  const index = files.get('index.json')
  if (!index) return undefined
  const { manifests } = parseIndex(await fetched({ ...index, mediaType: mediaTypes.ociIndex }, content))
  for (const one of manifests) {
    if (isIndexType(one.mediaType) || (await content.size(one.digest)) === undefined) continue
    const manifest = await fetched(one, content)
    const { config, layers } = parseManifest(manifest)
    if (config.digest === image.config && layers.map((layer) => layer.digest).join() === image.layers.join())
      return manifest
  }
  return undefined
}

async function ociImage(
  descriptor: Descriptor,
  options: InstallOptions,
): Promise<{ manifest: FetchedManifest; names: string[] }> {
  const name = descriptor.annotations?.[nameKey]
  const names = name === undefined ? [] : [formatReference(withDefaultTag(parseReference(name)))]
  const first = await fetched(descriptor, options.content)
  if (!isIndexType(first.mediaType)) return { manifest: first, names }
  const chosen = choosePlatform(parseIndex(first).manifests, options.platform, name ?? descriptor.digest)
  return { manifest: await fetched(chosen, options.content), names }
}

async function fetched(at: Stored & { mediaType: string }, content: ContentStore): Promise<FetchedManifest> {
  const bytes = await content.readBytes({ digest: at.digest, sizeBytes: at.size }, documentLimitBytes)
  return { digest: at.digest, mediaType: at.mediaType, bytes }
}

async function readDocument(
  files: Map<string, Stored>,
  path: string,
  content: ContentStore,
): Promise<unknown> {
  const stored = files.get(path)
  if (!stored) return undefined
  try {
    return JSON.parse((await content.readBytes(stored, documentLimitBytes)).toString('utf8'))
  } catch (cause) {
    throw new BerthError('INVALID', `Cannot load: the archive's ${path} is no JSON`, { cause })
  }
}

/** How a layer is compressed, by its first bytes: docker's manifest.json does not say. */
async function layerType(stored: Stored, content: ContentStore): Promise<string> {
  if (stored.size < 4) return mediaTypes.ociLayer
  let magic = ''
  for await (const part of await content.readRange(stored.digest, { start: 0, end: 3 }))
    magic += (part as Buffer).toString('hex')
  if (magic.startsWith('1f8b')) return mediaTypes.ociLayerGzip
  return magic === '28b52ffd' ? mediaTypes.ociLayerZstd : mediaTypes.ociLayer
}
