import { readFile } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { BerthError, messageOf } from '../base/error.ts'
import type { Endpoint } from './endpoint.ts'

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly headers?: Readonly<Record<string, string>>
  /** Called anew for each attempt. */
  readonly body?: () => Readable | Buffer | string
  readonly signal: AbortSignal
  /** Until the answer's first line; a registry hashes a blob before it answers. */
  readonly answerTimeoutMs?: number
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Readable & { dump(): Promise<void> }
  /** Of the last request, after redirects. */
  readonly url: URL
}

const maximumRedirects = 5

/** Connections to registries, kept alive and shared: one pool for each way of verifying certificates. */
export class Http implements AsyncDisposable {
  readonly #pools = new Map<string, Promise<Dispatcher>>()

  /** Sends one request and follows redirects of GET and HEAD; another host never sees the Authorization header. */
  async send(url: URL, trust: Pick<Endpoint, 'verifyTls' | 'ca'>, request: HttpRequest): Promise<HttpAnswer> {
    let at = url
    let headers = request.headers ?? {}
    for (let hop = 0; ; hop++) {
      const answer = await this.#once(at, trust, { ...request, headers })
      const location = headerOf(answer, 'location')
      const redirected = [301, 302, 303, 307, 308].includes(answer.status)
      if (!redirected || location === undefined || (request.method !== 'GET' && request.method !== 'HEAD'))
        return answer
      await answer.body.dump()
      if (hop >= maximumRedirects) {
        throw new BerthError(
          'REGISTRY',
          `Cannot follow ${url.host}: it redirects more than ${maximumRedirects} times`,
        )
      }
      const next = new URL(location, at)
      if (next.protocol !== 'https:' && next.protocol !== at.protocol) {
        throw new BerthError(
          'REGISTRY',
          `Cannot follow ${url.host}: it redirects from ${at.protocol} to ${next.protocol}`,
        )
      }
      if (next.host !== at.host) {
        headers = Object.fromEntries(
          Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization'),
        )
      }
      at = next
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const pools = [...this.#pools.values()]
    this.#pools.clear()
    // A pool that could not be opened was told to who asked for it.
    await Promise.allSettled(pools.map(async (pool) => (await pool).destroy()))
  }

  async #once(
    url: URL,
    trust: Pick<Endpoint, 'verifyTls' | 'ca'>,
    request: HttpRequest,
  ): Promise<HttpAnswer> {
    const { request: send } = await import('./undici.ts')
    const { statusCode, headers, body } = await send(url, {
      dispatcher: await this.#pool(trust),
      method: request.method,
      headers: { 'user-agent': 'berth', ...request.headers },
      body: request.body?.() ?? null,
      signal: request.signal,
      headersTimeout: request.answerTimeoutMs ?? 30_000,
      bodyTimeout: 30_000,
    })
    return { status: statusCode, headers, body, url }
  }

  #pool(trust: Pick<Endpoint, 'verifyTls' | 'ca'>): Promise<Dispatcher> {
    const key = `${trust.verifyTls} ${trust.ca ?? ''}`
    let pool = this.#pools.get(key)
    if (!pool) {
      pool = openPool(trust)
      this.#pools.set(key, pool)
      pool.catch(() => this.#pools.delete(key))
    }
    return pool
  }
}

/** Late: undici costs more to load than most commands take. The proxy variables are obeyed, loopback is never proxied. */
async function openPool(trust: Pick<Endpoint, 'verifyTls' | 'ca'>): Promise<Dispatcher> {
  const { EnvHttpProxyAgent } = await import('./undici.ts')
  const noProxy = [process.env.no_proxy ?? process.env.NO_PROXY, '127.0.0.1', 'localhost', '::1', '[::1]']
  return new EnvHttpProxyAgent({
    noProxy: noProxy.filter(Boolean).join(','),
    connect: {
      timeout: 10_000,
      rejectUnauthorized: trust.verifyTls,
      ...(trust.ca === undefined ? {} : { ca: await readAuthority(trust.ca) }),
    },
    keepAliveTimeout: 10_000,
  })
}

async function readAuthority(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new BerthError(
      'CONFIGURATION',
      `Cannot read certificate authority "${file}": ${messageOf(cause)}`,
      { cause },
    )
  }
}

/** The first value of a header. */
export function headerOf(answer: Pick<HttpAnswer, 'headers'>, name: string): string | undefined {
  const value = answer.headers[name]
  return typeof value === 'string' ? value : value?.[0]
}

/** The whole body, when it has at most `limitBytes`; else `REGISTRY`. */
export async function readBody(answer: HttpAnswer, limitBytes: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of answer.body as AsyncIterable<Buffer>) {
    size += part.length
    if (size > limitBytes) {
      throw new BerthError(
        'REGISTRY',
        `Cannot read the answer of ${answer.url.host}: it has more than ${limitBytes} bytes`,
      )
    }
    parts.push(part)
  }
  return Buffer.concat(parts)
}
