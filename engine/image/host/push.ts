import type { Digest } from '../../content/digest.ts'
import type { ContentStore } from '../../content/host/content-store.ts'
import type { RegistryClient } from '../../distribution/client.ts'
import { manifestLimitBytes } from '../../distribution/client.ts'
import { parseReference, type Reference } from '../../distribution/reference.ts'
import type { ImageRecord } from '../image.ts'
import { type OnProgress, throttled } from '../progress.ts'
import { Gate } from './shared.ts'

export interface PushOptions {
  readonly client: RegistryClient
  readonly content: ContentStore
  readonly image: ImageRecord
  readonly reference: Reference
  readonly onProgress: OnProgress
  readonly signal: AbortSignal
}

/** Sends an image: layers (three at a time, mounted from a neighbour where it came from one), config, then the manifest. */
export async function pushImage(options: PushOptions): Promise<Digest> {
  const { client, content, image, reference, signal } = options
  const onProgress = throttled(options.onProgress, 100, () => performance.now())
  const manifest = await content.readBytes({ digest: image.manifest.digest }, manifestLimitBytes)
  const mountFrom = neighbour(image, reference)
  const gate = new Gate(3)
  const send = async (blob: { digest: Digest; size: number }, told: OnProgress) => {
    told({ layer: blob.digest, state: 'waiting' })
    const result = await gate.enter(() =>
      client.putBlob(
        reference,
        {
          ...blob,
          open: async (offset) =>
            offset === 0
              ? content.read({ digest: blob.digest, sizeBytes: blob.size })
              : content.readRange(blob.digest, { start: offset, end: blob.size - 1 }),
        },
        {
          signal,
          ...(mountFrom === undefined ? {} : { mountFrom }),
          onProgress: (currentBytes) =>
            told({ layer: blob.digest, state: 'uploading', currentBytes, totalBytes: blob.size }),
        },
      ),
    )
    told({ layer: blob.digest, state: result === 'uploaded' ? 'done' : result })
  }
  const layers = new Map(
    image.layers.map((layer) => [layer.digest, { digest: layer.digest, size: layer.sizeBytes }]),
  )
  await Promise.all([...layers.values()].map((layer) => send(layer, onProgress)))
  const configSize = (await content.size(image.id)) ?? 0
  await send({ digest: image.id, size: configSize }, () => {})
  return client.putManifest(reference, { mediaType: image.manifest.mediaType, bytes: manifest }, signal)
}

/** Another repository of the same registry that this image is known to be in. */
function neighbour(image: ImageRecord, reference: Reference): string | undefined {
  const others = image.digests
    .map(parseReference)
    .filter((one) => one.registry === reference.registry && one.repository !== reference.repository)
  return others[0]?.repository
}
