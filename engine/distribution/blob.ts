import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { BerthError } from '../base/error.ts'
import { algorithmOf, type Digest } from '../content/digest.ts'
import { mismatch, type Promised } from '../content/verify.ts'
import type { Exchange } from './exchange.ts'
import { connectionError } from './failure.ts'
import { type HttpAnswer, headerOf } from './http.ts'
import { familiar, type Reference } from './reference.ts'
import { retryDelayMs } from './retry.ts'

/**
 * Reads a blob from `offset` on. When the connection is cut, it asks again with Range behind what came; only failures
 * without any progress between them count towards giving up.
 */
export async function* readBlob(
  exchange: Exchange,
  reference: Reference,
  promised: Promised,
  options: { signal: AbortSignal; offset?: number },
): AsyncGenerator<Buffer> {
  const { signal, offset: begin = 0 } = options
  const action = `Cannot pull "${familiar(reference)}"`
  const hash = begin === 0 ? createHash(algorithmOf(promised.digest)) : undefined
  let offset = begin
  for (let failures = 0; ; ) {
    if (offset > 0 && offset === promised.sizeBytes) break
    let failure: unknown
    const answer = await exchange.send({
      registry: reference.registry,
      path: `${reference.repository}/blobs/${promised.digest}`,
      method: 'GET',
      scopes: [`repository:${reference.repository}:pull`],
      headers: offset > 0 ? { range: `bytes=${offset}-` } : {},
      expect: offset > 0 ? [200, 206] : [200],
      action,
      signal,
    })
    let skip = bytesToSkip(answer, offset, action)
    try {
      for await (const chunk of answer.body as AsyncIterable<Buffer>) {
        const part = skip === 0 ? chunk : chunk.subarray(Math.min(skip, chunk.length))
        skip -= chunk.length - part.length
        if (part.length === 0) continue
        offset += part.length
        failures = 0
        if (promised.sizeBytes !== undefined && offset > promised.sizeBytes)
          throw mismatch(promised, { sizeBytes: offset })
        hash?.update(part)
        yield part
      }
      if (promised.sizeBytes === undefined || offset === promised.sizeBytes) break
      // A connection that ends early without an error: a proxy cut it, or the blob is shorter than promised.
      if (answer.headers['content-length'] !== undefined) throw mismatch(promised, { sizeBytes: offset })
      failure = Object.assign(new Error('the connection ended early'), { code: 'ECONNRESET' })
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof BerthError) throw error
      failure = error
    }
    const delay = retryDelayMs({ error: failure }, failures++, Math.random())
    if (delay === undefined) throw connectionError(action, reference.registry, failure)
    await sleep(delay, undefined, { signal })
  }
  const digest: Digest | undefined = hash && `${algorithmOf(promised.digest)}:${hash.digest('hex')}`
  if (digest !== undefined && digest !== promised.digest) throw mismatch(promised, { digest })
}

/** A registry without Range sends the whole again: what is here already is passed over. */
function bytesToSkip(answer: HttpAnswer, offset: number, action: string): number {
  if (answer.status === 200) return offset
  const start = /^bytes (\d+)-/.exec(headerOf(answer, 'content-range') ?? '')?.[1]
  if (Number(start) === offset) return 0
  throw new BerthError(
    'REGISTRY',
    `${action}: registry ${answer.url.host} was asked for bytes from ${offset} on and sent others`,
  )
}
