import { BerthError } from '../base/error.ts'
import { type Digest, isDigest } from '../content/digest.ts'
import { type Descriptor, type ImageIndex, type ImageManifest, isIndexType, mediaTypes } from './media.ts'

/** A manifest as it came: the exact bytes are what its digest is of. */
export interface FetchedManifest {
  readonly digest: Digest
  readonly mediaType: string
  readonly bytes: Buffer
}

/** Parses an index's bytes. Throws `INVALID`, naming what is wrong. */
export function parseIndex(manifest: FetchedManifest): ImageIndex {
  const value = parseDocument(manifest)
  if (!Array.isArray(value.manifests) || !value.manifests.every(isDescriptor))
    throw wrong(manifest, 'its "manifests" are no list of descriptors')
  return value as unknown as ImageIndex
}

/** Parses an image manifest's bytes. Throws `INVALID`, naming what is wrong. */
export function parseManifest(manifest: FetchedManifest): ImageManifest {
  const value = parseDocument(manifest)
  if (!isDescriptor(value.config)) throw wrong(manifest, 'its "config" is no descriptor')
  if (!Array.isArray(value.layers) || !value.layers.every(isDescriptor))
    throw wrong(manifest, 'its "layers" are no list of descriptors')
  return value as unknown as ImageManifest
}

/** The media type that a manifest's own bytes tell, for senders that do not say. */
export function sniffMediaType(bytes: Uint8Array): string | undefined {
  try {
    const value = JSON.parse(Buffer.from(bytes).toString('utf8'))
    if (typeof value?.mediaType === 'string') return value.mediaType
    if (Array.isArray(value?.manifests)) return mediaTypes.ociIndex
    if (Array.isArray(value?.layers)) return mediaTypes.ociManifest
  } catch {
    return undefined
  }
  return undefined
}

function parseDocument(manifest: FetchedManifest): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(manifest.bytes.toString('utf8'))
  } catch (cause) {
    throw wrong(manifest, 'it is no JSON', cause)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrong(manifest, 'it is no JSON object')
  const document = value as Record<string, unknown>
  if (document.schemaVersion !== 2) {
    throw wrong(manifest, `its schemaVersion is ${JSON.stringify(document.schemaVersion)} and should be 2`)
  }
  // One document read as both would be two images under one digest (CVE-2021-41190).
  if (document.manifests !== undefined && (document.layers !== undefined || document.config !== undefined)) {
    throw wrong(manifest, 'it has both "manifests" and "layers"')
  }
  return document
}

/** Whether a value has a descriptor's required fields, each of its type. */
export function isDescriptor(value: unknown): value is Descriptor {
  const one = value as Partial<Descriptor> | null
  return (
    typeof one === 'object' &&
    one !== null &&
    typeof one.mediaType === 'string' &&
    isDigest(one.digest) &&
    Number.isSafeInteger(one.size) &&
    (one.size ?? -1) >= 0
  )
}

function wrong(manifest: FetchedManifest, why: string, cause?: unknown): BerthError {
  const noun = isIndexType(manifest.mediaType) ? 'image index' : 'image manifest'
  return new BerthError(
    'INVALID',
    `Cannot read ${noun} ${manifest.digest}: ${why}`,
    cause === undefined ? {} : { cause },
  )
}
