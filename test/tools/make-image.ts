import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { pack } from 'tar-stream'
import type { Digest } from '../../engine/content/digest.ts'
import { digestOf } from '../../engine/content/verify.ts'
import { RegistryClient } from '../../engine/distribution/client.ts'
import { mediaTypes, type Platform } from '../../engine/distribution/media.ts'
import { platformOf } from '../../engine/distribution/platform.ts'
import { parseReference, withDefaultTag } from '../../engine/distribution/reference.ts'
import type { OciImageConfig } from '../../engine/image/image.ts'

/** A file of a layer: a path on the host (its content and mode), text, a link, or an empty folder. */
export type LayerFile =
  | string
  | { readonly content: string | Uint8Array; readonly mode?: number }
  | { readonly link: string }
  | { readonly folder: true; readonly mode?: number }

/** A layer: a folder of the host with all that is in it, files by their path in the image, or a finished tar archive. */
export type LayerInput =
  | { readonly folder: string }
  | { readonly files: Readonly<Record<string, LayerFile>> }
  | { readonly tar: Uint8Array }

export interface MakeImageOptions {
  /** Bottom first. */
  readonly layers: readonly LayerInput[]
  readonly config: NonNullable<OciImageConfig['config']>
  /** `127.0.0.1:5000/library/redis:7`. */
  readonly ref: string
  readonly platform?: Platform
  readonly client?: RegistryClient
  readonly signal: AbortSignal
}

/** Writes an OCI image into a registry; the same input gives the same digests. */
export async function makeImage(options: MakeImageOptions): Promise<{ digest: Digest; id: Digest }> {
  await using own = options.client ? undefined : new RegistryClient()
  const client = options.client ?? own
  if (!client) throw new Error('no client')
  const { signal } = options
  const reference = withDefaultTag(parseReference(options.ref))
  const put = async (content: Buffer, mediaType: string) => {
    const digest = digestOf(content)
    await client.putBlob(
      reference,
      { digest, size: content.length, open: (offset) => only(content.subarray(offset)) },
      { signal },
    )
    return { mediaType, digest, size: content.length }
  }
  const layers = []
  const diffIds: Digest[] = []
  for (const input of options.layers) {
    const tar = Buffer.from(await tarOf(input))
    diffIds.push(digestOf(tar))
    layers.push(await put(await promisify(gzip)(tar, { level: 1 }), mediaTypes.ociLayerGzip))
  }
  const config: OciImageConfig = {
    created: '2026-01-01T00:00:00Z',
    ...(options.platform ?? platformOf(process.arch)),
    config: options.config,
    rootfs: { type: 'layers', diff_ids: diffIds },
    history: layers.map(() => ({ created: '2026-01-01T00:00:00Z', created_by: 'berth makeImage' })),
  }
  const configDescriptor = await put(Buffer.from(JSON.stringify(config)), mediaTypes.ociConfig)
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: configDescriptor, layers }
  const digest = await client.putManifest(
    reference,
    { mediaType: mediaTypes.ociManifest, bytes: Buffer.from(JSON.stringify(manifest)) },
    signal,
  )
  return { digest, id: configDescriptor.digest }
}

async function* only(content: Buffer): AsyncGenerator<Buffer> {
  yield content
}

async function tarOf(input: LayerInput): Promise<Uint8Array> {
  if ('tar' in input) return input.tar
  const tar = pack()
  const parts: Buffer[] = []
  const read = (async () => {
    for await (const part of tar) parts.push(part as Buffer)
  })()
  if ('folder' in input) await addFolder(tar, input.folder, '')
  else await addFiles(tar, input.files)
  tar.finalize()
  await read
  return Buffer.concat(parts)
}

type Pack = ReturnType<typeof pack>
const mtime = new Date('2026-01-01T00:00:00Z')

async function addFolder(tar: Pack, folder: string, prefix: string): Promise<void> {
  for (const entry of (await readdir(folder, { withFileTypes: true })).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  )) {
    const name = prefix + entry.name
    await addPath(tar, name, join(folder, entry.name))
    if (entry.isDirectory()) await addFolder(tar, join(folder, entry.name), `${name}/`)
  }
}

async function addPath(tar: Pack, name: string, path: string): Promise<void> {
  const { mode, uid, gid, ...found } = await lstat(path)
  const header = { name, mode: mode & 0o7777, uid, gid, mtime }
  if ((mode & 0o170000) === 0o120000)
    tar.entry({ ...header, type: 'symlink', linkname: await readlink(path) })
  else if ((mode & 0o170000) === 0o040000) tar.entry({ ...header, type: 'directory' })
  else if (found.size === 0) tar.entry({ ...header, size: 0 }, Buffer.alloc(0))
  else tar.entry(header, await readFile(path))
}

async function addFiles(tar: Pack, files: Readonly<Record<string, LayerFile>>): Promise<void> {
  const made = new Set<string>()
  for (const [path, file] of Object.entries(files)) {
    const name = path.replace(/^\/+/, '')
    const parts = name.split('/').slice(0, -1)
    for (const [i] of parts.entries()) {
      const folder = parts.slice(0, i + 1).join('/')
      if (made.has(folder)) continue
      made.add(folder)
      tar.entry({ name: folder, type: 'directory', mode: 0o755, mtime })
    }
    if (typeof file === 'string') await addPath(tar, name, file)
    else if ('link' in file) tar.entry({ name, type: 'symlink', linkname: file.link, mtime })
    else if ('folder' in file) {
      made.add(name)
      tar.entry({ name, type: 'directory', mode: file.mode ?? 0o755, mtime })
    } else tar.entry({ name, mode: file.mode ?? 0o644, mtime }, Buffer.from(file.content))
  }
}
