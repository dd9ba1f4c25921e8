import { chainIds } from './chain.ts'
import type { ImageRecord } from './image.ts'

/** Everything that an image needs: its content, and its unpacked layers as `layer CHAINID`. */
export function nodesOf(image: Pick<ImageRecord, 'id' | 'config' | 'layers' | 'manifest'>): string[] {
  const chain = chainIds(image.config.rootfs.diff_ids)
  return [
    image.id,
    image.manifest.digest,
    ...image.layers.map((layer) => layer.digest),
    ...chain.map((one) => `layer ${one}`),
  ]
}
