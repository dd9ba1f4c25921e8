import { createHash, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { chooseGarbage } from '../content/collect.ts'
import type { Digest } from '../content/digest.ts'
import { ContentStore } from '../content/host/content-store.ts'
import { digestOf } from '../content/verify.ts'
import { isDescriptor } from '../distribution/manifest.ts'
import { Refusal } from './answer.ts'
import { Links } from './links.ts'

/** Uploads and blobs without a repository are kept this long: a pusher links its blobs only after all arrived. */
const graceMs = 24 * 3600_000

/**
 * A registry's content:
 *
 *     ROOT/blobs, ROOT/ingest     the content store (an upload is an ingest named by its id)
 *     ROOT/repositories           links, see `Links`
 */
export class RegistryStorage {
  readonly content: ContentStore
  readonly links: Links

  private constructor(content: ContentStore, links: Links) {
    this.content = content
    this.links = links
  }

  /** Opens a registry's folder and removes what no repository has any more. */
  static async open(root: string): Promise<RegistryStorage> {
    const storage = new RegistryStorage(await ContentStore.open(root), new Links(join(root, 'repositories')))
    await storage.#collect(Date.now())
    return storage
  }

  /** A new upload's id. It ends with a hash of the repository's name, so that it is no upload of another one. */
  newUpload(name: string): string {
    return `${randomUUID()}-${ownerOf(name)}`
  }

  /** Whether an id was given for this repository. */
  isUploadOf(name: string, id: string): boolean {
    return id.endsWith(`-${ownerOf(name)}`)
  }

  /**
   * Stores a manifest and, with a tag, names it. Order: content, revision, referrer, tag, so that a kill between any
   * two leaves nothing that points to what is not there.
   */
  async putManifest(
    name: string,
    manifest: { digest: Digest; mediaType: string; bytes: Buffer; tag?: string },
  ): Promise<{ subject?: Digest }> {
    const { digest, mediaType, bytes } = manifest
    const document = parse(bytes)
    if (typeof document.mediaType === 'string' && document.mediaType !== mediaType) {
      throw new Refusal(
        'MANIFEST_INVALID',
        `its mediaType is ${document.mediaType}, Content-Type is ${mediaType}`,
      )
    }
    if (digestOf(bytes, digest.startsWith('sha512') ? 'sha512' : 'sha256') !== digest)
      throw new Refusal('DIGEST_INVALID')
    for (const blob of blobsOf(document)) {
      if (!(await this.links.hasBlob(name, blob)) || (await this.content.size(blob)) === undefined) {
        throw new Refusal('MANIFEST_BLOB_UNKNOWN', `blob ${blob} is not in repository ${name}`)
      }
    }
    await this.content.put(bytes, { digest })
    await this.links.addManifest(name, digest, mediaType)
    const subject = subjectOf(document)
    if (subject !== undefined) {
      const descriptor = JSON.stringify(referrerOf(document, { digest, mediaType, size: bytes.length }))
      await this.links.addReferrer(name, subject, { digest, descriptor })
    }
    if (manifest.tag !== undefined) await this.links.setTag(name, manifest.tag, digest)
    return subject === undefined ? {} : { subject }
  }

  /** Removes a manifest with all its tags; `MANIFEST_UNKNOWN` when it is not there. */
  async removeManifest(name: string, digest: Digest): Promise<void> {
    if ((await this.links.manifestType(name, digest)) === undefined) throw new Refusal('MANIFEST_UNKNOWN')
    for (const tag of (await this.links.tags(name)) ?? []) {
      if ((await this.links.tag(name, tag)) === digest) await this.links.removeTag(name, tag)
    }
    const bytes = await this.content.readBytes({ digest }, 64 << 20).catch(() => undefined)
    const subject = bytes && subjectOf(parse(bytes))
    if (subject !== undefined) await this.links.removeReferrer(name, subject, digest)
    await this.links.removeManifest(name, digest)
  }

  async #collect(now: number): Promise<void> {
    const roots: string[] = []
    for await (const digest of this.links.digests()) roots.push(digest)
    const candidates: { key: string; modified: number }[] = []
    for await (const { digest, modified } of this.content.list()) candidates.push({ key: digest, modified })
    const garbage = chooseGarbage({ candidates, roots, leases: [], references: () => [], now, graceMs })
    for (const digest of garbage) await this.content.remove(digest as Digest)
    for await (const { key, modified } of this.content.listIngests()) {
      if (now - modified >= graceMs) await this.content.removeIngest(key)
    }
  }
}

const ownerOf = (name: string) => createHash('sha256').update(name).digest('hex').slice(0, 8)

function parse(bytes: Buffer): Record<string, unknown> {
  try {
    const value = JSON.parse(bytes.toString('utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {
    // Refused below, like JSON that is no object.
  }
  throw new Refusal('MANIFEST_INVALID', 'it is no JSON object')
}

/** The blobs that must be here before an image manifest is taken; those of foreign layers (with URLs) need not. */
function blobsOf(document: Record<string, unknown>): Digest[] {
  const layers = Array.isArray(document.layers) ? document.layers : []
  const parts = document.config === undefined ? layers : [document.config, ...layers]
  return parts.flatMap((one: unknown) => {
    if (!isDescriptor(one)) throw new Refusal('MANIFEST_INVALID', 'config or a layer is no descriptor')
    return 'urls' in one ? [] : [one.digest]
  })
}

function subjectOf(document: Record<string, unknown>): Digest | undefined {
  if (document.subject === undefined || document.subject === null) return undefined
  if (!isDescriptor(document.subject)) throw new Refusal('MANIFEST_INVALID', 'its subject is no descriptor')
  return document.subject.digest
}

/** The entry of a referrers list: artifactType falls back on the config's media type (image-spec, "artifact usage"). */
function referrerOf(
  document: Record<string, unknown>,
  own: { digest: Digest; mediaType: string; size: number },
) {
  const config = document.config as { mediaType?: string } | undefined
  const artifactType = document.artifactType ?? config?.mediaType
  return {
    mediaType: own.mediaType,
    digest: own.digest,
    size: own.size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(document.annotations === undefined ? {} : { annotations: document.annotations }),
  }
}
