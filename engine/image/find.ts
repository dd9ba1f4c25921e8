import { isBerthError } from '../base/error.ts'
import { formatReference, parseReference, withDefaultTag } from '../distribution/reference.ts'
import type { ImageRecord } from './image.ts'

/**
 * The image that docker would take for a word: a name with tag or digest first, then a whole id, then the beginning of
 * an id when only one image has it.
 */
export function findImage(images: Iterable<ImageRecord>, word: string): ImageRecord | undefined {
  const all = [...images]
  const id = word.startsWith('sha256:') ? word : `sha256:${word}`
  const exact = all.find((one) => one.id === id)
  if (exact) return exact
  const named = nameOf(word)
  const found =
    named === undefined
      ? undefined
      : all.find((one) => one.names.includes(named) || one.digests.includes(named))
  if (found) return found
  if (!/^sha256:[0-9a-f]+$/.test(id)) return undefined
  const [first, second] = all.filter((one) => one.id.startsWith(id))
  return second === undefined ? first : undefined
}

/** The full form of a name as records keep it; a digest outweighs a tag. Undefined when the word is no reference. */
export function nameOf(word: string): string | undefined {
  try {
    const { registry, repository, tag, digest } = withDefaultTag(parseReference(word))
    return formatReference(
      digest ? { registry, repository, digest } : { registry, repository, tag: tag ?? 'latest' },
    )
  } catch (error) {
    if (isBerthError(error, 'INVALID')) return undefined
    throw error
  }
}
