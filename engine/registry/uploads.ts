import type { IncomingMessage } from 'node:http'
import { isBerthError } from '../base/error.ts'
import { algorithmOf, type Digest, isDigest } from '../content/digest.ts'
import type { Ingest } from '../content/host/ingest.ts'
import { answer, Refusal } from './answer.ts'
import { type Call, mountSource, only } from './handlers.ts'
import { parsePiece } from './range.ts'

/**
 * Uploads: begun (POST), continued in pieces (PATCH), ended with their digest (PUT), asked for (GET), given up
 * (DELETE). All state is the ingest's file, so an upload goes on after this process was killed. An upload has one
 * writer: a second request for it ends the first, whose client has gone (its connection may not know yet).
 */
export class Uploads {
  readonly #writers = new Map<string, { request: IncomingMessage; ended: Promise<void> }>()

  /** POST: begins one, mounts from a neighbour, or takes the whole in one request. */
  async begin(call: Call, at: { name: string }): Promise<void> {
    only(call.method, 'POST')
    const { storage, response, query } = call
    const mount = mountSource(query)
    if (
      mount &&
      (await storage.links.hasBlob(mount.from, mount.digest)) &&
      (await storage.content.size(mount.digest)) !== undefined
    ) {
      await storage.links.addBlob(at.name, mount.digest)
      return created(call, at.name, mount.digest)
    }
    const id = storage.newUpload(at.name)
    const digest = digestIn(query)
    await this.#write(id, call, async () => {
      await using ingest = await storage.content.ingest(id, digest ? algorithmOf(digest) : 'sha256')
      if (digest === undefined) return
      try {
        await append(ingest, call.request)
        await this.#commit(call, { name: at.name, ingest, digest })
      } catch (error) {
        // Nobody was told this upload's id.
        await ingest.discard()
        throw error
      }
    })
    if (digest !== undefined) return created(call, at.name, digest)
    answer(response, 202, status(at.name, id, 0))
  }

  /** PATCH, PUT, GET, HEAD, DELETE of one upload. */
  async go(call: Call, at: { name: string; id: string }): Promise<void> {
    const { storage, response, method, query } = call
    only(method, 'GET', 'HEAD', 'PATCH', 'PUT', 'DELETE')
    const size = storage.isUploadOf(at.name, at.id) ? await storage.content.ingestSize(at.id) : undefined
    if (size === undefined) throw new Refusal('BLOB_UPLOAD_UNKNOWN')
    if (method === 'GET' || method === 'HEAD') return answer(response, 204, status(at.name, at.id, size))
    if (method === 'DELETE') {
      await this.#write(at.id, call, () => storage.content.removeIngest(at.id))
      return answer(response, 204, {})
    }
    const digest = method === 'PUT' ? digestIn(query) : undefined
    if (method === 'PUT' && digest === undefined)
      throw new Refusal('DIGEST_INVALID', 'the parameter "digest" is missing')
    let offset = 0
    await this.#write(at.id, call, async () => {
      await using ingest = await storage.content.ingest(at.id)
      checkPiece(call, { ...at, offset: ingest.offset })
      await append(ingest, call.request)
      offset = ingest.offset
      if (digest !== undefined) await this.#commit(call, { name: at.name, ingest, digest })
    })
    if (digest !== undefined) return created(call, at.name, digest)
    answer(response, 202, status(at.name, at.id, offset))
  }

  async #commit(call: Call, upload: { name: string; ingest: Ingest; digest: Digest }): Promise<void> {
    try {
      await upload.ingest.commit({ digest: upload.digest })
    } catch (error) {
      if (isBerthError(error, 'DIGEST_MISMATCH')) throw new Refusal('DIGEST_INVALID', error.message)
      throw error
    }
    await call.storage.links.addBlob(upload.name, upload.digest)
  }

  async #write(id: string, call: Call, work: () => Promise<void>): Promise<void> {
    for (let other = this.#writers.get(id); other; other = this.#writers.get(id)) {
      other.request.destroy()
      await other.ended
    }
    const ended = Promise.withResolvers<void>()
    this.#writers.set(id, { request: call.request, ended: ended.promise })
    try {
      await work()
    } finally {
      this.#writers.delete(id)
      ended.resolve()
    }
  }
}

/** Appends the body. What arrived before a cut stays: the client asks and goes on behind it. */
async function append(ingest: Ingest, request: IncomingMessage): Promise<void> {
  for await (const chunk of request as AsyncIterable<Buffer>) await ingest.write(chunk)
}

/** A piece must begin where the last one ended (416 tells where), and be as long as it says. */
function checkPiece(call: Call, upload: { name: string; id: string; offset: number }): void {
  const piece = parsePiece(call.request.headers['content-range'])
  const headers = status(upload.name, upload.id, upload.offset)
  if (piece === 'wrong') throw new Refusal('RANGE_INVALID', 'Content-Range should be START-END', headers)
  if (piece === undefined) return
  if (piece.start !== upload.offset) {
    throw new Refusal(
      'RANGE_INVALID',
      `the next piece begins at ${upload.offset}, not at ${piece.start}`,
      headers,
    )
  }
  const length = call.request.headers['content-length']
  if (length !== undefined && Number(length) !== 0 && Number(length) !== piece.end - piece.start + 1) {
    throw new Refusal(
      'SIZE_INVALID',
      `Content-Range has ${piece.end - piece.start + 1} bytes, Content-Length ${length}`,
    )
  }
}

function status(name: string, id: string, offset: number): Record<string, string> {
  return {
    location: `/v2/${name}/blobs/uploads/${id}`,
    range: `0-${Math.max(offset - 1, 0)}`,
    'docker-upload-uuid': id,
    'oci-chunk-min-length': '1',
  }
}

function created(call: Call, name: string, digest: Digest): void {
  answer(call.response, 201, { location: `/v2/${name}/blobs/${digest}`, 'docker-content-digest': digest })
}

function digestIn(query: URLSearchParams): Digest | undefined {
  const digest = query.get('digest')
  if (digest === null) return undefined
  if (!isDigest(digest))
    throw new Refusal('DIGEST_INVALID', `${JSON.stringify(digest.slice(0, 200))} is no digest`)
  return digest
}
