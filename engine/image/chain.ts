import type { Digest } from '../content/digest.ts'
import { digestOf } from '../content/verify.ts'

/**
 * The chainID of each layer of an image, bottom first: a layer with all that is below it. A layer's folder belongs to
 * its chainID, so one image never names a folder twice, which overlay refuses. OCI image-spec, config.md, "Layer ChainID".
 */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = []
  for (const diffId of diffIds) {
    const below = chain.at(-1)
    chain.push(below === undefined ? diffId : digestOf(`${below} ${diffId}`))
  }
  return chain
}
