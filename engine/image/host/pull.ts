import { BerthError } from '../../base/error.ts'
import type { Digest } from '../../content/digest.ts'
import type { ContentStore } from '../../content/host/content-store.ts'
import type { RegistryClient } from '../../distribution/client.ts'
import { type FetchedManifest, parseManifest } from '../../distribution/manifest.ts'
import { compressionOf, type ImageManifest, mediaTypes, type Platform } from '../../distribution/media.ts'
import { familiar, type Reference } from '../../distribution/reference.ts'
import { chainIds } from '../chain.ts'
import { createdOf, type ImageRecord, type OciImageConfig, parseImageConfig } from '../image.ts'
import { nodesOf } from '../nodes.ts'
import { type OnProgress, throttled } from '../progress.ts'
import type { LayerSource, Layers, WantedLayer } from './layers.ts'

const configLimitBytes = 8 << 20
const progressEveryMs = 100

export interface InstallOptions {
  readonly content: ContentStore
  readonly layers: Layers
  readonly platform: Platform
  readonly onProgress: OnProgress
  readonly signal: AbortSignal
  /** Called before anything is looked for: these nodes must not be removed until the image is recorded. */
  readonly hold: (nodes: readonly string[]) => void
}

export interface FetchOptions extends InstallOptions {
  readonly client: RegistryClient
  readonly reference: Reference
}

/** Brings everything of an image here and gives its record, without names, and the digest that was asked for. */
export async function fetchImage(options: FetchOptions): Promise<{ image: ImageRecord; asked: Digest }> {
  const { client, reference } = options
  const { manifest, list } = await client.resolve(reference, options.platform, options.signal)
  const image = await installImage(manifest, familiar(reference), {
    ...options,
    source: { client, reference },
  })
  return { image, asked: list?.digest ?? manifest.digest }
}

/** Unpacks the image of a manifest. What is not in the content store comes from the source, if there is one. */
export async function installImage(
  manifest: FetchedManifest,
  name: string,
  options: InstallOptions & { source: LayerSource | undefined },
): Promise<ImageRecord> {
  const { content, layers, source, signal, hold } = options
  const document = parseManifest(manifest)
  checkIsImage(document, name)
  hold([manifest.digest, document.config.digest, ...document.layers.map((layer) => layer.digest)])

  const promised = { digest: document.config.digest, sizeBytes: document.config.size }
  const here =
    (await content.size(promised.digest)) !== undefined && !(await content.removeDamaged(promised.digest))
  const bytes =
    here || !source
      ? await content.readBytes(promised, configLimitBytes)
      : await source.client.blobBytes(source.reference, promised, { signal, limitBytes: configLimitBytes })
  const config = parseImageConfig(bytes, name)
  const wanted = wantedLayers(document, config, name)
  const base = {
    id: document.config.digest,
    names: [],
    digests: [],
    config,
    layers: wanted.map(({ digest, diffId, sizeBytes, mediaType }) => ({
      digest,
      diffId,
      sizeBytes,
      mediaType,
    })),
    manifest: { digest: manifest.digest, mediaType: manifest.mediaType, size: manifest.bytes.length },
    created: createdOf(config),
  }
  hold(nodesOf(base))
  await content.put(bytes, promised)
  await content.put(manifest.bytes, { digest: manifest.digest })

  const onProgress = throttled(options.onProgress, progressEveryMs, () => performance.now())
  // The first failure ends the others: a half image is no use.
  const failed = new AbortController()
  const all = wanted.map((_, i) =>
    layers.ensure(wanted.slice(0, i + 1), source, {
      onProgress,
      signal: AbortSignal.any([signal, failed.signal]),
    }),
  )
  try {
    const records = await Promise.all(all)
    const sizeBytes = records.reduce((sum, record) => sum + record.sizeBytes, 0)
    return { ...base, sizeBytes }
  } catch (error) {
    failed.abort(error)
    await Promise.allSettled(all)
    throw error
  }
}

/** A chart or another artifact is no image; it says so before anything is downloaded. */
function checkIsImage(document: ImageManifest, name: string): void {
  const { mediaType } = document.config
  if (mediaType === mediaTypes.ociConfig || mediaType === mediaTypes.dockerConfig) return
  const chart = mediaType === 'application/vnd.cncf.helm.config.v1+json'
  throw new BerthError(
    'INVALID',
    `Cannot use image "${name}": it is ${chart ? 'a chart' : `an artifact of type ${document.artifactType ?? mediaType}`} and no image`,
    chart ? { hint: `berth pull oci://${name}` } : {},
  )
}

function wantedLayers(document: ImageManifest, config: OciImageConfig, name: string): WantedLayer[] {
  const diffIds = config.rootfs.diff_ids
  if (diffIds.length !== document.layers.length) {
    throw new BerthError(
      'INVALID',
      `Cannot use image "${name}": its manifest has ${document.layers.length} layers, its configuration ${diffIds.length}`,
    )
  }
  const chain = chainIds(diffIds)
  return document.layers.map((layer, i) => {
    const compression = compressionOf(layer.mediaType)
    const [diffId, chainId] = [diffIds[i], chain[i]]
    if (compression === undefined || diffId === undefined || chainId === undefined) {
      throw new BerthError(
        'UNSUPPORTED',
        `Cannot use image "${name}": layer ${layer.digest} has the media type ${layer.mediaType}`,
      )
    }
    return {
      digest: layer.digest,
      diffId,
      chainId,
      sizeBytes: layer.size,
      mediaType: layer.mediaType,
      compression,
    }
  })
}
