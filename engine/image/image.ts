import { BerthError } from '../base/error.ts'
import { type Digest, isDigest } from '../content/digest.ts'
import type { Descriptor } from '../distribution/media.ts'

/** An image's configuration (OCI image-spec, config.md); what berth reads is typed, the rest is kept as it is. */
export interface OciImageConfig {
  readonly architecture: string
  readonly os: string
  readonly variant?: string
  readonly created?: string
  readonly author?: string
  readonly config?: {
    readonly User?: string
    readonly Env?: readonly string[] | null
    readonly Entrypoint?: readonly string[] | null
    readonly Cmd?: readonly string[] | null
    readonly WorkingDir?: string
    readonly Labels?: Readonly<Record<string, string>> | null
    readonly Volumes?: Readonly<Record<string, object>> | null
    readonly ExposedPorts?: Readonly<Record<string, object>> | null
    readonly StopSignal?: string
  }
  readonly rootfs: { readonly type: 'layers'; readonly diff_ids: readonly Digest[] }
  readonly history?: readonly {
    readonly created?: string
    readonly created_by?: string
    readonly comment?: string
    readonly empty_layer?: boolean
  }[]
}

export interface ImageLayer {
  readonly digest: Digest
  readonly diffId: Digest
  /** As it is stored and sent, compressed. */
  readonly sizeBytes: number
  readonly mediaType: string
}

/** An image that is here: all its layers are unpacked. */
export interface ImageRecord {
  /** Digest of the configuration. */
  readonly id: Digest
  /** Full names with tags: `docker.io/library/redis:7`. */
  readonly names: readonly string[]
  /** Full names with the digest that a registry gave: `docker.io/library/redis@sha256:…`. */
  readonly digests: readonly string[]
  readonly config: OciImageConfig
  readonly layers: readonly ImageLayer[]
  /** What it was pulled by; its bytes are in the content store and are what a push sends. */
  readonly manifest: Pick<Descriptor, 'digest' | 'mediaType' | 'size'>
  /** When it was built, in ms; 0 when it does not say. */
  readonly created: number
  /** Of the unpacked layers together. */
  readonly sizeBytes: number
}

/** Reads an image's configuration. Throws `INVALID`, naming what is wrong. */
export function parseImageConfig(bytes: Uint8Array, name: string): OciImageConfig {
  const wrong = (why: string, cause?: unknown) =>
    new BerthError(
      'INVALID',
      `Cannot use image "${name}": its configuration ${why}`,
      cause === undefined ? {} : { cause },
    )
  let value: Partial<OciImageConfig> | null
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (cause) {
    throw wrong('is no JSON', cause)
  }
  if (typeof value !== 'object' || value === null) throw wrong('is no JSON object')
  const diffIds: unknown = value.rootfs?.diff_ids
  if (!Array.isArray(diffIds) || !diffIds.every(isDigest)) throw wrong('has no list of diffIDs')
  for (const field of ['Env', 'Entrypoint', 'Cmd'] as const) {
    const list: unknown = value.config?.[field]
    if (
      list !== undefined &&
      list !== null &&
      !(Array.isArray(list) && list.every((one) => typeof one === 'string'))
    ) {
      throw wrong(`has a ${field} that is no list of strings`)
    }
  }
  return value as OciImageConfig
}

/** When an image was built, in ms; 0 when it does not say. */
export function createdOf(config: OciImageConfig): number {
  const time = Date.parse(config.created ?? '')
  return Number.isFinite(time) ? time : 0
}
