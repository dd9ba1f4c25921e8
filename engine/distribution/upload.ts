import { Readable } from 'node:stream'
import { BerthError, isBerthError } from '../base/error.ts'
import type { Digest } from '../content/digest.ts'
import type { Ask, Exchange } from './exchange.ts'
import { type HttpAnswer, headerOf } from './http.ts'

/** A blob to send. */
export interface Outgoing {
  readonly digest: Digest
  readonly size: number
  /** Its bytes from `offset` on; called again when a connection was cut. */
  readonly open: (offset: number) => AsyncIterable<Uint8Array> | Promise<AsyncIterable<Uint8Array>>
}

export interface UploadOptions {
  readonly registry: string
  readonly repository: string
  readonly action: string
  readonly signal: AbortSignal
  /** Another repository of this registry that may have the blob already. */
  readonly mountFrom?: string
  /** Sends pieces of this size, each its own request. Without it, one request for the whole. */
  readonly chunkBytes?: number
  readonly onProgress?: (sentBytes: number) => void
}

export type UploadResult = 'exists' | 'mounted' | 'uploaded'

const attempts = 5

/**
 * Gives a registry a blob: mounted from a neighbour, or uploaded. A cut connection asks how much arrived and goes on
 * there; a registry that forgot the upload is begun anew.
 */
export async function upload(
  exchange: Exchange,
  blob: Outgoing,
  options: UploadOptions,
): Promise<UploadResult> {
  const scopes = [`repository:${options.repository}:pull,push`]
  if (options.mountFrom !== undefined) scopes.push(`repository:${options.mountFrom}:pull`)
  const ask = {
    registry: options.registry,
    scopes,
    action: options.action,
    signal: options.signal,
    write: true,
  }

  const head = await exchange.send({
    ...ask,
    method: 'HEAD',
    path: `${options.repository}/blobs/${blob.digest}`,
    expect: [200, 404],
  })
  await head.body.dump()
  if (head.status === 200) return 'exists'

  let mount =
    options.mountFrom === undefined
      ? ''
      : `?mount=${encodeURIComponent(blob.digest)}&from=${encodeURIComponent(options.mountFrom)}`
  for (let attempt = 1; ; attempt++) {
    const started = await exchange.send({
      ...ask,
      method: 'POST',
      path: `${options.repository}/blobs/uploads/${mount}`,
      headers: { 'content-length': '0' },
      expect: [201, 202],
    })
    await started.body.dump()
    if (started.status === 201) return 'mounted'
    mount = ''
    try {
      await sendBody(exchange, { ask, blob, options, location: locationOf(started, options.action) })
      return 'uploaded'
    } catch (error) {
      const again =
        isBerthError(error, 'UNAVAILABLE', 'NOT_FOUND') ||
        (isBerthError(error, 'REGISTRY') && Number(error.details?.status) >= 500)
      if (!again || attempt >= attempts) throw error
    }
  }
}

type Common = Pick<Ask, 'registry' | 'scopes' | 'action' | 'signal' | 'write'>

async function sendBody(
  exchange: Exchange,
  sending: { ask: Common; blob: Outgoing; options: UploadOptions; location: URL },
): Promise<void> {
  const { ask, blob, options } = sending
  let location = sending.location
  let offset = 0
  for (let failures = 0; ; ) {
    const last = options.chunkBytes === undefined || blob.size - offset <= options.chunkBytes
    const length = last ? blob.size - offset : (options.chunkBytes ?? 0)
    try {
      const answer = await sendPiece(exchange, { ...sending, location, offset, length, last })
      if (last) return
      location = answer
      offset += length
    } catch (error) {
      if (!isBerthError(error, 'UNAVAILABLE') || ++failures >= attempts) throw error
      const status = await exchange.send({ ...ask, method: 'GET', path: location, expect: [204] })
      await status.body.dump()
      location = locationOf(status, options.action, location)
      offset = arrived(status)
    }
  }
}

/** Sends bytes `offset` to `offset + length`; the last ones end the upload. Gives where the next piece goes. */
async function sendPiece(
  exchange: Exchange,
  piece: {
    ask: Common
    blob: Outgoing
    options: UploadOptions
    location: URL
    offset: number
    length: number
    last: boolean
  },
): Promise<URL> {
  const { ask, blob, options, location, offset, length, last } = piece
  const url = new URL(location)
  if (last) url.searchParams.set('digest', blob.digest)
  const source = await blob.open(offset)
  const headers = {
    'content-type': 'application/octet-stream',
    'content-length': String(length),
    ...(offset > 0 || !last ? { 'content-range': `${offset}-${Math.max(offset + length - 1, 0)}` } : {}),
  }
  const body = () =>
    Readable.from(
      exactly(source, length, (sent) => options.onProgress?.(offset + sent)),
      { objectMode: false },
    )
  const answer = await exchange.send({
    ...ask,
    method: last ? 'PUT' : 'PATCH',
    path: url,
    headers,
    ...(length > 0 ? { body } : {}),
    once: true,
    answerTimeoutMs: 300_000,
    expect: last ? [201, 204] : [202],
  })
  await answer.body.dump()
  return last ? url : locationOf(answer, options.action, location)
}

/** Exactly `length` bytes of a source. */
async function* exactly(
  source: AsyncIterable<Uint8Array>,
  length: number,
  sent: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let done = 0
  for await (const chunk of source) {
    const part = chunk.subarray(0, length - done)
    done += part.length
    yield part
    sent(done)
    if (done >= length) return
  }
  throw new BerthError(
    'DIGEST_MISMATCH',
    `Cannot send content: it ends after ${done} bytes and should have ${length} more`,
  )
}

/** How many bytes of an upload are there, from `Range: 0-N`. */
function arrived(answer: HttpAnswer): number {
  const match = /^(?:bytes=)?0-(\d+)$/.exec(headerOf(answer, 'range') ?? '')
  // Nothing arrived is written `0-0` by many registries; one byte sent again is then out of order for none of them.
  return match?.[1] === undefined || match[1] === '0' ? 0 : Number(match[1]) + 1
}

function locationOf(answer: HttpAnswer, action: string, fallback?: URL): URL {
  const location = headerOf(answer, 'location')
  if (location !== undefined && URL.canParse(location, answer.url.href)) return new URL(location, answer.url)
  if (fallback) return fallback
  throw new BerthError(
    'REGISTRY',
    `${action}: registry ${answer.url.host} began an upload without a Location`,
  )
}
