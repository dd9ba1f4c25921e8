import { setTimeout as sleep } from 'node:timers/promises'
import { BerthError, isBerthError } from '../base/error.ts'
import { Authorizer, type Credentials } from './authorizer.ts'
import { type Endpoint, endpointsOf, type HostSettings } from './endpoint.ts'
import { answerError, connectionError } from './failure.ts'
import { Http, type HttpAnswer, type HttpRequest, headerOf, readBody } from './http.ts'
import { retryDelayMs } from './retry.ts'

/** A request to a registry, told apart from where it goes. */
export interface Ask extends HttpRequest {
  readonly registry: string
  /** Below `/v2/`, or the whole URL of an upload that the registry gave. */
  readonly path: string | URL
  /** `repository:NAME:pull`. */
  readonly scopes: readonly string[]
  /** Statuses that the caller wants to see; others are thrown. */
  readonly expect: readonly number[]
  /** Begins error messages: `Cannot pull "redis:7"`. */
  readonly action: string
  /** Only the registry itself, not its mirrors. */
  readonly write?: boolean
  /** Not to be sent twice: the caller finds out itself how much arrived. */
  readonly once?: boolean
}

/** Sends requests to registries: mirrors first, with credentials, again when a failure passes. */
export class Exchange implements AsyncDisposable {
  readonly #http: Http
  readonly #hosts: Readonly<Record<string, HostSettings>>
  readonly #authorizer: Authorizer
  readonly #bases = new Map<string, Promise<URL>>()

  constructor(options: {
    hosts: Readonly<Record<string, HostSettings>>
    credentials: (registry: string) => Promise<Credentials | undefined>
  }) {
    this.#http = new Http()
    this.#hosts = options.hosts
    this.#authorizer = new Authorizer(this.#http, options.credentials)
  }

  /** The first expected answer of a mirror or of the registry itself. */
  async send(ask: Ask): Promise<HttpAnswer> {
    const endpoints = endpointsOf(ask.registry, this.#hosts).filter((one) => !ask.write || !one.mirror)
    let ofMirror: BerthError | undefined
    for (const endpoint of endpoints) {
      try {
        return await this.#sendTo(endpoint, ask)
      } catch (error) {
        ask.signal.throwIfAborted()
        if (!isBerthError(error)) throw error
        // Behind a mirror that knows it is not there, a registry that cannot be reached is the lesser news.
        if (!endpoint.mirror)
          throw isBerthError(error, 'UNAVAILABLE') && isBerthError(ofMirror, 'NOT_FOUND') ? ofMirror : error
        ofMirror ??= error
      }
    }
    throw ofMirror ?? new BerthError('INTERNAL', `${ask.action}: registry ${ask.registry} has no endpoint`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]()
  }

  async #sendTo(endpoint: Endpoint, ask: Ask): Promise<HttpAnswer> {
    let challenged = 0
    for (let attempt = 0; ; ) {
      let delay: number | undefined
      try {
        const base = await this.#base(endpoint, ask)
        const url = typeof ask.path === 'string' ? new URL(`${base.pathname}v2/${ask.path}`, base) : ask.path
        // Where a registry sends an upload elsewhere, its token stays at home.
        const home = url.host === base.host
        const authorization = home
          ? await this.#authorizer.header(endpoint, ask.scopes, ask.signal)
          : undefined
        const headers = { ...ask.headers, ...(authorization === undefined ? {} : { authorization }) }
        const answer = await this.#http.send(url, endpoint, { ...ask, headers })
        if (ask.expect.includes(answer.status)) return answer
        if (
          answer.status === 401 &&
          challenged++ < 2 &&
          this.#authorizer.learn(endpoint, answer, authorization)
        ) {
          await answer.body.dump()
          continue
        }
        const retryAfter = headerOf(answer, 'retry-after')
        delay = ask.once
          ? undefined
          : retryDelayMs(
              { status: answer.status, ...(retryAfter === undefined ? {} : { retryAfter }) },
              attempt,
              Math.random(),
            )
        const body = (await readBody(answer, 1 << 20)).toString('utf8')
        if (delay === undefined)
          throw answerError(ask.action, { registry: endpoint.registry, status: answer.status, body })
      } catch (error) {
        ask.signal.throwIfAborted()
        if (isBerthError(error)) throw error
        delay = ask.once ? undefined : retryDelayMs({ error }, attempt, Math.random())
        if (delay === undefined) throw connectionError(ask.action, endpoint.registry, error)
      }
      attempt++
      await sleep(delay, undefined, { signal: ask.signal })
    }
  }

  /** `https://HOST/` or, where that is allowed and TLS is not spoken there, `http://HOST/`; found out once. */
  #base(endpoint: Endpoint, ask: Ask): Promise<URL> {
    // With how it may be spoken to: settings of hosts change while the daemon runs.
    const key = `${endpoint.plain} ${endpoint.authority}`
    const kept = this.#bases.get(key)
    if (kept) return kept
    const found = this.#probe(endpoint, ask.signal)
    this.#bases.set(key, found)
    found.catch(() => this.#bases.delete(key))
    return found
  }

  async #probe(endpoint: Endpoint, signal: AbortSignal): Promise<URL> {
    const secure = new URL(`https://${endpoint.authority}/`)
    const plain = new URL(`http://${endpoint.authority}/`)
    if (endpoint.plain === 'never') return secure
    if (endpoint.plain === 'only') return plain
    try {
      const answer = await this.#http.send(new URL(`${secure.pathname}v2/`, secure), endpoint, {
        method: 'GET',
        signal,
      })
      await answer.body.dump()
      return secure
    } catch {
      signal.throwIfAborted()
      return plain
    }
  }
}
