import { BerthError } from '../base/error.ts'

/** The hash functions of the OCI image specification, with the length of their hex form. */
const hexLength = { sha256: 64, sha512: 128 } as const

export type Algorithm = keyof typeof hexLength
/** A content address such as `sha256:2cf2…`, well formed. */
export type Digest = `${Algorithm}:${string}`

/** Whether `text` is a digest of an algorithm that berth computes. */
export function isDigest(text: unknown): text is Digest {
  if (typeof text !== 'string') return false
  const [algorithm = '', hex = ''] = text.split(':', 2)
  return (
    Object.hasOwn(hexLength, algorithm) &&
    text.length === algorithm.length + 1 + hexLength[algorithm as Algorithm] &&
    /^[0-9a-f]+$/.test(hex)
  )
}

/** Parses a digest. Throws `INVALID` for another algorithm, a wrong length or upper case. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text
  throw new BerthError('INVALID', `Cannot read ${JSON.stringify(text.slice(0, 200))} as a digest`, {
    hint: 'a digest is sha256: and 64, or sha512: and 128, lower-case hex digits',
  })
}

/** The hash function of a digest. */
export function algorithmOf(digest: Digest): Algorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256'
}

/** The hex digits of a digest: its file's name. */
export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1)
}
