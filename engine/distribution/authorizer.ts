import { BerthError } from '../base/error.ts'
import { parseChallenges } from './challenge.ts'
import type { Endpoint } from './endpoint.ts'
import { answerError } from './failure.ts'
import { type Http, type HttpAnswer, readBody } from './http.ts'

/** What a person or a credential helper gives for one registry. */
export type Credentials =
  | { readonly username: string; readonly password: string }
  /** An OAuth refresh token, docker's `identitytoken`. */
  | { readonly identityToken: string }
  /** A bearer token to send as it is. */
  | { readonly registryToken: string }

type Scheme =
  | { readonly kind: 'basic' }
  | { readonly kind: 'bearer'; readonly realm: URL; readonly service?: string }

/**
 * Finds the Authorization header of each request: what a registry challenges for is remembered for its endpoint, and
 * tokens until shortly before they end. https://distribution.github.io/distribution/spec/auth/token/
 */
export class Authorizer {
  readonly #http: Http
  readonly #credentials: (registry: string) => Promise<Credentials | undefined>
  readonly #schemes = new Map<string, Scheme>()
  readonly #tokens = new Map<string, { header: string; until: number }>()

  constructor(http: Http, credentials: (registry: string) => Promise<Credentials | undefined>) {
    this.#http = http
    this.#credentials = credentials
  }

  /** The header for these scopes, or undefined while nothing was challenged or nothing is known. */
  async header(
    endpoint: Endpoint,
    scopes: readonly string[],
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const scheme = this.#schemes.get(endpoint.authority)
    if (!scheme) return undefined
    const credentials = await this.#credentials(endpoint.registry)
    if (credentials && 'registryToken' in credentials) return `Bearer ${credentials.registryToken}`
    if (scheme.kind === 'basic') {
      return credentials && 'username' in credentials ? basic(credentials) : undefined
    }
    const key = `${endpoint.authority} ${[...scopes].sort().join(' ')}`
    const kept = this.#tokens.get(key)
    if (kept && kept.until > Date.now()) return kept.header
    const token = await this.#fetchToken(scheme, { endpoint, scopes, credentials, signal })
    this.#tokens.set(key, token)
    return token.header
  }

  /**
   * Learns from a 401. Whether trying again makes sense: a challenge that berth can answer came, and what was sent was
   * not the answer to it already.
   */
  learn(endpoint: Endpoint, answer: HttpAnswer, sent: string | undefined): boolean {
    const challenges = parseChallenges(answer.headers['www-authenticate'])
    const bearer = challenges.find(
      (one) => one.scheme === 'bearer' && URL.canParse(one.parameters.realm ?? ''),
    )
    if (bearer) {
      const { realm = '', service } = bearer.parameters
      this.#schemes.set(endpoint.authority, {
        kind: 'bearer',
        realm: new URL(realm),
        ...(service === undefined ? {} : { service }),
      })
      const prefix = `${endpoint.authority} `
      for (const [key, token] of this.#tokens)
        if (key.startsWith(prefix) && token.header === sent) this.#tokens.delete(key)
      return true
    }
    if (challenges.some((one) => one.scheme === 'basic') && sent === undefined) {
      this.#schemes.set(endpoint.authority, { kind: 'basic' })
      return true
    }
    return false
  }

  async #fetchToken(
    scheme: Extract<Scheme, { kind: 'bearer' }>,
    ask: {
      endpoint: Endpoint
      scopes: readonly string[]
      credentials: Credentials | undefined
      signal: AbortSignal
    },
  ): Promise<{ header: string; until: number }> {
    const { endpoint, scopes, credentials, signal } = ask
    if (credentials && scheme.realm.protocol !== 'https:' && endpoint.plain === 'never') {
      throw new BerthError(
        'UNAUTHORIZED',
        `Cannot log in to "${endpoint.registry}": its token server ${scheme.realm.host} speaks plain HTTP, which would show the password`,
      )
    }
    const answer = await this.#http.send(...tokenRequest(scheme, ask))
    const action = `Cannot log in to "${endpoint.registry}"`
    const body = (await readBody(answer, 1 << 20)).toString('utf8')
    if (answer.status !== 200) {
      throw answerError(action, { registry: scheme.realm.host, status: answer.status, body })
    }
    signal.throwIfAborted()
    let value: { token?: unknown; access_token?: unknown; expires_in?: unknown } = {}
    try {
      value = JSON.parse(body) ?? {}
    } catch {
      // Told below: an answer that is no JSON has no token either.
    }
    const token = value.token ?? value.access_token
    if (typeof token !== 'string' || token === '') {
      throw new BerthError(
        'REGISTRY',
        `${action}: token server ${scheme.realm.host} answered without a token for ${scopes.join(' ') || 'no scope'}`,
      )
    }
    const seconds = typeof value.expires_in === 'number' && value.expires_in > 0 ? value.expires_in : 60
    return { header: `Bearer ${token}`, until: Date.now() + seconds * 900 }
  }
}

/** GET with Basic, as docker's token protocol has it; POST as OAuth where there is a refresh token. */
function tokenRequest(
  scheme: Extract<Scheme, { kind: 'bearer' }>,
  ask: {
    endpoint: Endpoint
    scopes: readonly string[]
    credentials: Credentials | undefined
    signal: AbortSignal
  },
): Parameters<Http['send']> {
  const { endpoint, scopes, credentials, signal } = ask
  if (credentials && 'identityToken' in credentials) {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: credentials.identityToken,
      client_id: 'berth',
      service: scheme.service ?? '',
      scope: scopes.join(' '),
    })
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    return [scheme.realm, endpoint, { method: 'POST', headers, body: () => form.toString(), signal }]
  }
  const url = new URL(scheme.realm)
  if (scheme.service !== undefined) url.searchParams.set('service', scheme.service)
  for (const scope of scopes) url.searchParams.append('scope', scope)
  const headers = credentials && 'username' in credentials ? { authorization: basic(credentials) } : {}
  return [url, endpoint, { method: 'GET', headers, signal }]
}

function basic(credentials: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`
}
