import { BerthError } from '../../engine/base/error.ts'

/** A reference split as the API's pull wants it; its full check is the daemon's. */
export interface PullName {
  readonly name: string
  readonly tag: string
}

/** `redis` → redis, latest; `host:5000/a@sha256:…` → name and digest. An address with a scheme is refused. */
export function splitReference(text: string): PullName {
  const scheme = /^(\w+):\/\/(.*)$/.exec(text)
  if (scheme) {
    throw new BerthError(
      'INVALID',
      `Cannot use "${text}" as an image: a reference has no "${scheme[1]}://"`,
      {
        hint: `write ${scheme[2]}`,
      },
    )
  }
  const at = text.indexOf('@')
  if (at >= 0) return { name: text.slice(0, at), tag: text.slice(at + 1) }
  const colon = text.lastIndexOf(':')
  if (colon > text.lastIndexOf('/')) return { name: text.slice(0, colon), tag: text.slice(colon + 1) }
  return { name: text, tag: 'latest' }
}

/** The whole name as docker prints it after a pull: `docker.io/library/redis:7`. */
export function canonical({ name, tag }: PullName): string {
  const [first = '', ...rest] = name.split('/')
  const hasHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost')
  const whole = hasHost ? name : `docker.io/${rest.length === 0 ? 'library/' : ''}${name}`
  return `${whole}${tag.includes(':') ? '@' : ':'}${tag}`
}
