import { BerthError, isBerthError } from '../base/error.ts'
import { type Digest, isDigest } from '../content/digest.ts'
import { digestOf, type Promised, verifyBytes } from '../content/verify.ts'
import type { Credentials } from './authorizer.ts'
import { readBlob } from './blob.ts'
import type { HostSettings } from './endpoint.ts'
import { Exchange } from './exchange.ts'
import { headerOf, readBody } from './http.ts'
import { type FetchedManifest, parseIndex, sniffMediaType } from './manifest.ts'
import { type Descriptor, isIndexType, manifestTypes, mediaTypes, type Platform } from './media.ts'
import { choosePlatform } from './platform.ts'
import { familiar, type Reference } from './reference.ts'
import { type Outgoing, type UploadOptions, type UploadResult, upload } from './upload.ts'

/** The largest manifest that is read, as registries limit it. */
export const manifestLimitBytes = 4 << 20
const maximumPages = 1000

export interface RegistryClientOptions {
  readonly hosts?: Readonly<Record<string, HostSettings>>
  /** Asked when a registry wants to know who asks; a mirror is asked for by its own host. */
  readonly credentials?: (registry: string) => Promise<Credentials | undefined>
}

/**
 * Speaks the OCI distribution protocol to any registry. Every read has a limit and every content is verified against
 * its digest. Errors are `NOT_FOUND`, `UNAUTHORIZED`, `FORBIDDEN`, `UNAVAILABLE` (not reached, or busy) or `REGISTRY`.
 */
export class RegistryClient implements AsyncDisposable {
  readonly #exchange: Exchange

  constructor(options: RegistryClientOptions = {}) {
    this.#exchange = new Exchange({
      hosts: options.hosts ?? {},
      credentials: options.credentials ?? (async () => undefined),
    })
  }

  /** Whether the registry answers, and takes the credentials. */
  async ping(registry: string, signal: AbortSignal): Promise<void> {
    const answer = await this.#exchange.send({
      registry,
      path: '',
      method: 'GET',
      scopes: [],
      expect: [200],
      write: true,
      action: `Cannot log in to "${registry}"`,
      signal,
    })
    await answer.body.dump()
  }

  /** What a tag means now, without its content; undefined when it is not there. */
  async head(reference: Reference, signal: AbortSignal): Promise<Omit<FetchedManifest, 'bytes'> | undefined> {
    const answer = await this.#exchange.send({
      ...this.#manifestAsk(reference, 'find', signal),
      method: 'HEAD',
      expect: [200, 404],
    })
    await answer.body.dump()
    if (answer.status === 404) return undefined
    const digest = headerOf(answer, 'docker-content-digest')
    // Old registries do not tell it in a HEAD.
    if (!isDigest(digest)) return this.manifest(reference, signal)
    return { digest, mediaType: headerOf(answer, 'content-type') ?? mediaTypes.ociManifest }
  }

  /** A manifest's exact bytes, verified when the reference has a digest. */
  async manifest(reference: Reference, signal: AbortSignal): Promise<FetchedManifest> {
    const ask = this.#manifestAsk(reference, 'pull', signal)
    const answer = await this.#exchange.send({ ...ask, method: 'GET', expect: [200] })
    const bytes = await readBody(answer, manifestLimitBytes)
    const told = headerOf(answer, 'docker-content-digest')
    const digest = reference.digest ?? (isDigest(told) ? told : digestOf(bytes))
    verifyBytes(bytes, { digest })
    const type = headerOf(answer, 'content-type')?.split(';')[0]?.trim()
    const mediaType =
      type && type !== 'application/json' && type !== 'text/plain'
        ? type
        : (sniffMediaType(bytes) ?? mediaTypes.ociManifest)
    return { digest, mediaType, bytes }
  }

  /** The manifest of an image for a platform: a manifest list is followed. `list` is the list that it came from. */
  async resolve(
    reference: Reference,
    platform: Platform,
    signal: AbortSignal,
  ): Promise<{ manifest: FetchedManifest; list?: FetchedManifest }> {
    const first = await this.manifest(reference, signal)
    if (!isIndexType(first.mediaType)) return { manifest: first }
    const chosen = choosePlatform(parseIndex(first).manifests, platform, familiar(reference))
    const { registry, repository } = reference
    const manifest = await this.manifest({ registry, repository, digest: chosen.digest }, signal)
    if (isIndexType(manifest.mediaType)) {
      throw new BerthError(
        'UNSUPPORTED',
        `Cannot use image "${familiar(reference)}": its manifest list holds another list for this platform`,
      )
    }
    return { manifest, list: first }
  }

  /** Stores a manifest under the reference's tag or digest. */
  async putManifest(
    reference: Reference,
    manifest: { mediaType: string; bytes: Uint8Array },
    signal: AbortSignal,
  ): Promise<Digest> {
    const digest = digestOf(manifest.bytes)
    const answer = await this.#exchange.send({
      ...this.#manifestAsk(
        reference.tag === undefined
          ? { ...reference, digest: reference.digest ?? digest }
          : { ...reference, digest: undefined },
        'push',
        signal,
      ),
      method: 'PUT',
      headers: { 'content-type': manifest.mediaType },
      body: () => Buffer.from(manifest.bytes),
      expect: [201, 200, 202],
      write: true,
    })
    await answer.body.dump()
    return digest
  }

  /** Removes a manifest by digest, or a tag, where the registry allows it. Nothing to remove is no error. */
  async removeManifest(reference: Reference, signal: AbortSignal): Promise<void> {
    const ask = this.#manifestAsk(reference, 'delete', signal)
    const answer = await this.#exchange.send({
      ...ask,
      method: 'DELETE',
      expect: [200, 202, 204, 404],
      write: true,
    })
    await answer.body.dump()
  }

  /**
   * A blob's bytes from `offset` on. Cut connections are taken up again with Range. The whole (offset 0) ends only
   * when digest and size hold; a part is verified by who joins it to the rest.
   */
  blob(
    reference: Reference,
    promised: Promised,
    options: { signal: AbortSignal; offset?: number },
  ): AsyncIterable<Buffer> {
    return readBlob(this.#exchange, reference, promised, options)
  }

  /** A small blob in memory, verified. */
  async blobBytes(
    reference: Reference,
    promised: Promised,
    options: { signal: AbortSignal; limitBytes: number },
  ): Promise<Buffer> {
    if ((promised.sizeBytes ?? 0) > options.limitBytes) {
      throw new BerthError(
        'INVALID',
        `Cannot read ${promised.digest} of "${familiar(reference)}": it has ${promised.sizeBytes} bytes and at most ${options.limitBytes} are allowed`,
      )
    }
    const parts: Buffer[] = []
    let size = 0
    for await (const part of this.blob(reference, promised, options)) {
      size += part.length
      if (size > options.limitBytes)
        throw new BerthError(
          'INVALID',
          `Cannot read ${promised.digest} of "${familiar(reference)}": it has more than ${options.limitBytes} bytes`,
        )
      parts.push(part)
    }
    return Buffer.concat(parts)
  }

  /** Whether the registry has a blob in this repository. */
  async blobExists(reference: Reference, digest: Digest, signal: AbortSignal): Promise<boolean> {
    const answer = await this.#exchange.send({
      ...this.#ask(reference, 'find', signal),
      path: `${reference.repository}/blobs/${digest}`,
      method: 'HEAD',
      expect: [200, 404],
    })
    await answer.body.dump()
    return answer.status === 200
  }

  /** Gives the registry a blob, unless it has it or can mount it from a neighbour. */
  putBlob(
    reference: Reference,
    blob: Outgoing,
    options: Pick<UploadOptions, 'signal' | 'mountFrom' | 'chunkBytes' | 'onProgress'>,
  ): Promise<UploadResult> {
    const { registry, repository } = reference
    return upload(this.#exchange, blob, {
      ...options,
      registry,
      repository,
      action: `Cannot push "${familiar(reference)}"`,
    })
  }

  /** All tags of a repository, page by page. */
  async tags(reference: Reference, signal: AbortSignal): Promise<string[]> {
    const tags: string[] = []
    const pages = this.#pages(reference, 'tags/list', 'list tags of', signal)
    for await (const page of pages) {
      if (Array.isArray(page.tags)) tags.push(...page.tags.filter((tag) => typeof tag === 'string'))
    }
    return tags
  }

  /** What refers to a manifest (signatures, attestations, …). Registries before OCI 1.1 keep it in a tag. */
  async referrers(
    reference: Reference & { digest: Digest },
    options: { artifactType?: string; signal: AbortSignal },
  ): Promise<Descriptor[]> {
    const { artifactType, signal } = options
    const query = artifactType === undefined ? '' : `?artifactType=${encodeURIComponent(artifactType)}`
    const found: Descriptor[] = []
    try {
      for await (const page of this.#pages(
        reference,
        `referrers/${reference.digest}${query}`,
        'list referrers of',
        signal,
      )) {
        if (Array.isArray(page.manifests)) found.push(...page.manifests)
      }
    } catch (error) {
      if (!isBerthError(error, 'NOT_FOUND')) throw error
      const { registry, repository } = reference
      const tag = reference.digest.replace(':', '-').slice(0, 128)
      if ((await this.head({ registry, repository, tag }, signal)) === undefined) return []
      found.push(...parseIndex(await this.manifest({ registry, repository, tag }, signal)).manifests)
    }
    return found.filter((one) => artifactType === undefined || one.artifactType === artifactType)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#exchange[Symbol.asyncDispose]()
  }

  #ask(reference: Reference, verb: string, signal: AbortSignal) {
    const access = verb === 'push' ? 'pull,push' : verb === 'delete' ? 'pull,push,delete' : 'pull'
    return {
      registry: reference.registry,
      scopes: [`repository:${reference.repository}:${access}`],
      action: `Cannot ${verb} "${familiar(reference)}"`,
      signal,
    }
  }

  #manifestAsk(
    reference: Omit<Reference, 'digest'> & { digest?: Digest | undefined },
    verb: string,
    signal: AbortSignal,
  ) {
    const { registry, repository, tag, digest } = reference
    const full = {
      registry,
      repository,
      ...(tag === undefined ? {} : { tag }),
      ...(digest === undefined ? {} : { digest }),
    }
    return {
      ...this.#ask(full, verb, signal),
      path: `${repository}/manifests/${digest ?? tag ?? 'latest'}`,
      headers: { accept: manifestTypes.join(', ') },
    }
  }

  async *#pages(
    reference: Reference,
    path: string,
    verb: string,
    signal: AbortSignal,
  ): AsyncGenerator<Record<string, unknown>> {
    let next: string | URL = `${reference.repository}/${path}`
    for (let page = 0; page < maximumPages; page++) {
      const answer = await this.#exchange.send({
        ...this.#ask(reference, verb, signal),
        path: next,
        method: 'GET',
        expect: [200],
      })
      const body = await readBody(answer, manifestLimitBytes)
      try {
        yield JSON.parse(body.toString('utf8')) ?? {}
      } catch (cause) {
        throw new BerthError(
          'REGISTRY',
          `Cannot ${verb} "${familiar(reference)}": registry ${reference.registry} answered something that is no JSON`,
          { cause },
        )
      }
      const link = /<([^>]+)>\s*;[^,]*\brel="?next"?/.exec(headerOf(answer, 'link') ?? '')?.[1]
      if (link === undefined) return
      next = new URL(link, answer.url)
      if (next.host !== answer.url.host) return
    }
  }
}
