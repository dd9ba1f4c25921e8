import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Digest } from '../content/digest.ts'
import { isDigest } from '../content/digest.ts'
import { digestOf } from '../content/verify.ts'
import { sniffMediaType } from '../distribution/manifest.ts'
import { mediaTypes } from '../distribution/media.ts'
import { answer, answerJson, Refusal } from './answer.ts'
import { parseRange } from './range.ts'
import { isName } from './route.ts'
import type { RegistryStorage } from './storage.ts'

/** One request, with what its path and query name. */
export interface Call {
  readonly storage: RegistryStorage
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly query: URLSearchParams
  readonly method: string
}

const manifestLimitBytes = 4 << 20
const largestPage = 10_000

/** GET, HEAD, PUT, DELETE of a manifest. */
export async function manifestCall(
  call: Call,
  at: { name: string; tag?: string; digest?: Digest },
): Promise<void> {
  const { storage, response, method } = call
  if (method === 'PUT') return putManifest(call, at)
  const digest = at.digest ?? (at.tag === undefined ? undefined : await storage.links.tag(at.name, at.tag))
  if (digest === undefined) throw new Refusal('MANIFEST_UNKNOWN', `manifest unknown: ${at.name}:${at.tag}`)
  if (method === 'DELETE') {
    if (at.tag !== undefined) await storage.links.removeTag(at.name, at.tag)
    else await storage.removeManifest(at.name, digest)
    return answer(response, 202, {})
  }
  only(method, 'GET', 'HEAD')
  const mediaType = await storage.links.manifestType(at.name, digest)
  if (mediaType === undefined) throw new Refusal('MANIFEST_UNKNOWN', `manifest unknown: ${at.name}@${digest}`)
  const bytes = await storage.content.readBytes({ digest }, manifestLimitBytes)
  answer(
    response,
    200,
    { 'content-type': mediaType, 'docker-content-digest': digest, etag: `"${digest}"` },
    bytes,
  )
}

async function putManifest(call: Call, at: { name: string; tag?: string; digest?: Digest }): Promise<void> {
  const { storage, request, response, query } = call
  const bytes = await readAll(request, manifestLimitBytes)
  const asked = query.get('digest')
  if (asked !== null && !isDigest(asked)) throw new Refusal('DIGEST_INVALID')
  const digest = at.digest ?? asked ?? digestOf(bytes)
  if (asked !== null && asked !== digest) throw new Refusal('DIGEST_INVALID')
  const mediaType =
    request.headers['content-type']?.split(';')[0]?.trim() || sniffMediaType(bytes) || mediaTypes.ociManifest
  const { subject } = await storage.putManifest(at.name, {
    digest,
    mediaType,
    bytes,
    ...(at.tag === undefined ? {} : { tag: at.tag }),
  })
  // Several tags at once: OCI distribution 1.2's `tag` parameters, with a push by digest.
  const tags = at.digest === undefined ? [] : query.getAll('tag')
  for (const tag of tags) {
    if (!/^\w[\w.-]{0,127}$/.test(tag)) throw new Refusal('TAG_INVALID')
    await storage.links.setTag(at.name, tag, digest)
  }
  if (tags.length > 0) response.setHeader('oci-tag', tags)
  answer(response, 201, {
    location: `/v2/${at.name}/manifests/${digest}`,
    'docker-content-digest': digest,
    ...(subject === undefined ? {} : { 'oci-subject': subject }),
  })
}

/** GET (with Range), HEAD, DELETE of a blob. */
export async function blobCall(call: Call, at: { name: string; digest: Digest }): Promise<void> {
  const { storage, request, response, method } = call
  const size = (await storage.links.hasBlob(at.name, at.digest))
    ? await storage.content.size(at.digest)
    : undefined
  if (size === undefined) throw new Refusal('BLOB_UNKNOWN')
  if (method === 'DELETE') {
    await storage.links.removeBlob(at.name, at.digest)
    return answer(response, 202, {})
  }
  only(method, 'GET', 'HEAD')
  const headers = {
    'content-type': 'application/octet-stream',
    'docker-content-digest': at.digest,
    etag: `"${at.digest}"`,
    'accept-ranges': 'bytes',
  }
  const range = parseRange(request.headers.range, size)
  if (range === 'unsatisfiable')
    throw new Refusal('RANGE_INVALID', undefined, { 'content-range': `bytes */${size}` })
  const length = range ? range.end - range.start + 1 : size
  const partial = range ? { 'content-range': `bytes ${range.start}-${range.end}/${size}` } : {}
  if (method === 'HEAD') {
    response.writeHead(200, { ...headers, 'content-length': String(size) })
    response.end()
    return
  }
  // The whole is hashed while it is sent: a blob that the disk damaged ends in a cut connection, not in a wrong copy.
  const body: Readable = range
    ? await storage.content.readRange(at.digest, range)
    : await storage.content.read({ digest: at.digest, sizeBytes: size })
  response.writeHead(range ? 206 : 200, { ...headers, ...partial, 'content-length': String(length) })
  await pipeline(body, response)
}

/** GET of the tags, sorted, in pages of `n` behind `last`. */
export async function tagsCall(call: Call, at: { name: string }): Promise<void> {
  only(call.method, 'GET', 'HEAD')
  const tags = await call.storage.links.tags(at.name)
  if (tags === undefined) throw new Refusal('NAME_UNKNOWN')
  const { page, link } = pageOf(tags, call.query, `/v2/${at.name}/tags/list`)
  answerJson(call.response, { name: at.name, tags: page }, link)
}

/** GET of the repositories' names, as docker's registry lists them. */
export async function catalogCall(call: Call): Promise<void> {
  only(call.method, 'GET', 'HEAD')
  const { page, link } = pageOf(await call.storage.links.repositories(), call.query, '/v2/_catalog')
  answerJson(call.response, { repositories: page }, link)
}

/** GET of what refers to a manifest: an index, empty when nothing does, filtered by `artifactType`. */
export async function referrersCall(call: Call, at: { name: string; digest: Digest }): Promise<void> {
  only(call.method, 'GET', 'HEAD')
  const wanted = call.query.get('artifactType')
  const descriptors = (await call.storage.links.referrers(at.name, at.digest)).map((text) => JSON.parse(text))
  const manifests = wanted === null ? descriptors : descriptors.filter((one) => one.artifactType === wanted)
  answerJson(
    call.response,
    { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests },
    {
      'content-type': mediaTypes.ociIndex,
      ...(wanted === null ? {} : { 'oci-filters-applied': 'artifactType' }),
    },
  )
}

function pageOf(
  names: readonly string[],
  query: URLSearchParams,
  path: string,
): { page: string[]; link: Record<string, string> } {
  const last = query.get('last')
  const asked = query.get('n')
  const size = asked !== null && /^\d{1,9}$/.test(asked) ? Math.min(Number(asked), largestPage) : largestPage
  const rest = last === null ? names : names.filter((one) => one > last)
  const page = rest.slice(0, size)
  const end = page.at(-1)
  if (page.length === rest.length || end === undefined) return { page, link: {} }
  return { page, link: { link: `<${path}?n=${size}&last=${encodeURIComponent(end)}>; rel="next"` } }
}

/** Refuses other methods. */
export function only(method: string, ...allowed: string[]): void {
  if (!allowed.includes(method)) throw new Refusal('UNSUPPORTED', undefined, { allow: allowed.join(', ') })
}

async function readAll(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length
    if (size > limitBytes) throw new Refusal('SIZE_INVALID', `a manifest has at most ${limitBytes} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

/** The repository that a blob may be mounted from. */
export function mountSource(query: URLSearchParams): { digest: Digest; from: string } | undefined {
  const digest = query.get('mount')
  const from = query.get('from')
  return isDigest(digest) && from !== null && isName(from) ? { digest, from } : undefined
}
