import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

export type Anonymous = 'none' | 'read' | 'write'
export type Access = 'read' | 'write'

/** Checks one password against one line of an htpasswd file. */
export type PasswordCheck = (password: string, hash: string) => Promise<boolean>

/** Who asks: nobody (no header), a user whose password was right, or somebody whose password or token was wrong. */
export type Caller = { readonly kind: 'nobody' | 'wrong' } | { readonly kind: 'user'; readonly name: string }

/** Whether a caller may do this: the whole policy of the registry. */
export function decide(
  caller: Caller,
  access: Access,
  policy: { anonymous: Anonymous; hasUsers: boolean },
): 'allow' | 'challenge' | 'deny' {
  if (caller.kind === 'wrong') return 'challenge'
  if (caller.kind === 'user') return 'allow'
  if (policy.anonymous === 'write' || (policy.anonymous === 'read' && access === 'read')) return 'allow'
  return policy.hasUsers ? 'challenge' : 'deny'
}

/** Reads an htpasswd file: `name:hash` a line, `#` begins a comment. */
export function parseHtpasswd(text: string): Map<string, string> {
  const users = new Map<string, string>()
  for (const line of text.split('\n').map((one) => one.trim())) {
    const colon = line.indexOf(':')
    if (line !== '' && !line.startsWith('#') && colon > 0)
      users.set(line.slice(0, colon), line.slice(colon + 1))
  }
  return users
}

/**
 * Users and their tokens. docker learns how to log in only from `/v2/`, and with Basic never reads anonymously; so a
 * registry that lets anyone read offers Bearer: its `/token` gives a token to nobody as well as to users. Tokens are
 * signed with a key of this process; after a restart clients are challenged and fetch another.
 */
export class Door {
  readonly #users: ReadonlyMap<string, string>
  readonly #check: PasswordCheck
  readonly #key = randomBytes(32)
  readonly #known = new Set<string>()

  constructor(users: ReadonlyMap<string, string>, check: PasswordCheck) {
    this.#users = users
    this.#check = check
  }

  get hasUsers(): boolean {
    return this.#users.size > 0
  }

  /** Who sent this Authorization header. */
  async caller(authorization: string | undefined): Promise<Caller> {
    if (authorization === undefined) return { kind: 'nobody' }
    const [scheme = '', value = ''] = authorization.split(/\s+/, 2)
    if (scheme.toLowerCase() === 'bearer') return this.#callerOfToken(value)
    if (scheme.toLowerCase() !== 'basic') return { kind: 'wrong' }
    const text = Buffer.from(value, 'base64').toString('utf8')
    const name = text.slice(0, Math.max(text.indexOf(':'), 0))
    const hash = this.#users.get(name)
    if (hash === undefined) return { kind: 'wrong' }
    // bcrypt is slow by purpose; a password that was right once is known by a keyed hash until this process ends.
    const proof = createHmac('sha256', this.#key).update(`${hash}\0${text}`).digest('hex')
    if (!this.#known.has(proof)) {
      if (!(await this.#check(text.slice(name.length + 1), hash))) return { kind: 'wrong' }
      this.#known.add(proof)
    }
    return { kind: 'user', name }
  }

  /** A token for a caller, for `seconds`. */
  token(caller: Caller, now: number, seconds: number): string {
    const name = caller.kind === 'user' ? caller.name : ''
    const payload = Buffer.from(JSON.stringify({ name, until: now + seconds * 1000 })).toString('base64url')
    return `${payload}.${this.#sign(payload)}`
  }

  #callerOfToken(token: string): Caller {
    const [payload = '', signature = ''] = token.split('.')
    const expected = Buffer.from(this.#sign(payload))
    const given = Buffer.from(signature)
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return { kind: 'wrong' }
    const { name, until } = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
    if (until < Date.now()) return { kind: 'wrong' }
    return name === '' ? { kind: 'nobody' } : { kind: 'user', name }
  }

  #sign(payload: string): string {
    return createHmac('sha256', this.#key).update(payload).digest('base64url')
  }
}

/** htpasswd's `{SHA}` and bcrypt forms (`htpasswd -s`, `-B`). Others, apache's own MD5 included, never match. */
export const checkPassword: PasswordCheck = async (password, hash) => {
  if (hash.startsWith('{SHA}')) {
    const expected = Buffer.from(hash.slice('{SHA}'.length))
    const given = Buffer.from(createHash('sha1').update(password).digest('base64'))
    return given.length === expected.length && timingSafeEqual(given, expected)
  }
  if (!/^\$2[aby]\$/.test(hash)) return false
  const { compare } = await import('bcryptjs')
  return compare(password, hash)
}
