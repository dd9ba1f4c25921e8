import { createHash } from 'node:crypto'
import { Transform } from 'node:stream'
import { BerthError } from '../base/error.ts'
import { type Algorithm, algorithmOf, type Digest } from './digest.ts'

/** What a reader was promised of some content. */
export interface Promised {
  readonly digest: Digest
  readonly sizeBytes?: number
}

/** The digest of bytes that are in memory. */
export function digestOf(content: Uint8Array | string, algorithm: Algorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(content).digest('hex')}`
}

/** The error that everyone throws who finds that content is not what was promised. */
export function mismatch(promised: Promised, found: { digest?: Digest; sizeBytes?: number }): BerthError {
  const what = found.digest
    ? `it has digest ${found.digest}`
    : `it has ${found.sizeBytes} bytes and should have ${promised.sizeBytes}`
  return new BerthError('DIGEST_MISMATCH', `Cannot accept content ${promised.digest}: ${what}`, {
    hint: 'it was damaged on its way or on disk, or its sender is wrong: try again, or ask whoever runs the registry',
    details: { promised: promised.digest, ...found },
  })
}

/** Throws `DIGEST_MISMATCH` unless the bytes are what was promised; gives them back. */
export function verifyBytes<T extends Uint8Array>(content: T, promised: Promised): T {
  if (promised.sizeBytes !== undefined && content.length !== promised.sizeBytes) {
    throw mismatch(promised, { sizeBytes: content.length })
  }
  const digest = digestOf(content, algorithmOf(promised.digest))
  if (digest !== promised.digest) throw mismatch(promised, { digest })
  return content
}

/**
 * Passes bytes on and hashes them. Its end comes only when digest and size hold: who reads to the end cannot forget
 * to verify, and who stops at the last promised byte cannot either: the last piece is passed on only when all holds. One
 * byte more than promised fails at once, so that a sender cannot fill the disk.
 */
export function verifyStream(promised: Promised): Transform {
  const hash = createHash(algorithmOf(promised.digest))
  let sizeBytes = 0
  let last: Buffer | undefined
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sizeBytes += chunk.length
      if (promised.sizeBytes !== undefined && sizeBytes > promised.sizeBytes) {
        done(mismatch(promised, { sizeBytes }))
        return
      }
      hash.update(chunk)
      if (last !== undefined) this.push(last)
      last = chunk
      done()
    },
    flush(done) {
      if (promised.sizeBytes !== undefined && sizeBytes !== promised.sizeBytes) {
        done(mismatch(promised, { sizeBytes }))
        return
      }
      const digest: Digest = `${algorithmOf(promised.digest)}:${hash.digest('hex')}`
      if (digest === promised.digest) done(null, last)
      else done(mismatch(promised, { digest }))
    },
  })
}
