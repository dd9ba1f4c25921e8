import { BerthError } from '../base/error.ts'
import { type Digest, isDigest, parseDigest } from '../content/digest.ts'

/** Where an image or artifact lies, parsed once. `registry` and `repository` are always full. */
export interface Reference {
  /** `docker.io`, `127.0.0.1:5000`. */
  readonly registry: string
  /** `library/redis`. */
  readonly repository: string
  readonly tag?: string
  readonly digest?: Digest
}

const hub = 'docker.io'
const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/
const hostName =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::\d{1,5})?$/
const ipv6 = /^\[[0-9a-fA-F:]+\](?::\d{1,5})?$/
const tagPattern = /^\w[\w.-]{0,127}$/

/**
 * Reads a reference by docker's rules: `redis` is `docker.io/library/redis`, the part before the first slash is a
 * registry when it has a dot, a colon or an upper-case letter or is `localhost`. No tag is added: `withDefaultTag`
 * does that. Throws `INVALID`. https://github.com/distribution/reference
 */
export function parseReference(text: string): Reference {
  const scheme = /^([a-z]+):\/\//i.exec(text)
  if (scheme) {
    const rest = text.slice(scheme[0].length)
    throw invalid(text, 'it names a protocol', {
      hint:
        scheme[1]?.toLowerCase() === 'http'
          ? `write ${rest}: registries on loopback are spoken to over plain HTTP by themselves, others when the configuration has registries: {"${rest.split('/')[0]}": {"insecure": true}}`
          : `write ${rest}`,
    })
  }
  const [beforeDigest = '', digestText, ...more] = text.split('@')
  if (more.length > 0) throw invalid(text, 'it has more than one "@"')
  if (digestText !== undefined && !isDigest(digestText)) throw invalid(text, `"${digestText}" is no digest`)

  const colon = beforeDigest.lastIndexOf(':')
  const tagged = colon > beforeDigest.lastIndexOf('/')
  const name = tagged ? beforeDigest.slice(0, colon) : beforeDigest
  const tag = tagged ? beforeDigest.slice(colon + 1) : undefined
  if (tag !== undefined && !tagPattern.test(tag)) {
    throw invalid(text, `tag "${tag}" should be letters, digits, "_", "." and "-", at most 128`)
  }
  const { registry, repository } = splitName(name)
  checkName(text, registry, repository)
  return {
    registry,
    repository,
    ...(tag === undefined ? {} : { tag }),
    ...(digestText === undefined ? {} : { digest: parseDigest(digestText) }),
  }
}

function splitName(name: string): { registry: string; repository: string } {
  const slash = name.indexOf('/')
  const first = slash < 0 ? '' : name.slice(0, slash)
  const isHost = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase()
  const registry = isHost ? (first === 'index.docker.io' ? hub : first) : hub
  const repository = isHost ? name.slice(slash + 1) : name
  return {
    registry,
    repository: registry === hub && !repository.includes('/') ? `library/${repository}` : repository,
  }
}

function checkName(text: string, registry: string, repository: string): void {
  const short = familiarRepository(registry, repository)
  if (repository === '' || short === '') throw invalid(text, 'it names no repository')
  if (!hostName.test(registry) && !ipv6.test(registry)) throw invalid(text, `"${registry}" is no host name`)
  if (/^[0-9a-f]{64}$/.test(short))
    throw invalid(text, 'a repository cannot be 64 hexadecimal digits, which is an id')
  if (repository !== repository.toLowerCase()) {
    throw invalid(text, `repository name "${repository}" must be lowercase`, {
      hint: `write ${text.toLowerCase()}`,
    })
  }
  if (!repository.split('/').every((part) => component.test(part))) {
    throw invalid(
      text,
      `repository name "${repository}" should be lower-case letters and digits, parts of it joined by ".", "_", "__" or "-"`,
    )
  }
  if (registry.length + repository.length + 1 > 255)
    throw invalid(text, 'its name has more than 255 characters')
}

function invalid(text: string, why: string, options: { hint?: string } = {}): BerthError {
  return new BerthError(
    'INVALID',
    `Cannot read ${JSON.stringify(text.slice(0, 300))} as a reference: invalid reference format: ${why}`,
    options,
  )
}

/** The reference itself when it has a tag or a digest, else with the tag `latest`. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined
    ? { ...reference, tag: 'latest' }
    : reference
}

/** The full form: `docker.io/library/redis:7@sha256:…`. */
export function formatReference(reference: Reference): string {
  return `${reference.registry}/${reference.repository}${suffix(reference)}`
}

/** The short form that docker shows: `redis:7`, `me/app`, `quay.io/x/y`. */
export function familiar(reference: Reference): string {
  return `${familiarName(reference)}${suffix(reference)}`
}

/** The short form without tag and digest: docker's REPOSITORY column. */
export function familiarName(reference: Reference): string {
  return familiarRepository(reference.registry, reference.repository)
}

function familiarRepository(registry: string, repository: string): string {
  if (registry !== hub) return `${registry}/${repository}`
  const rest = repository.startsWith('library/') ? repository.slice('library/'.length) : repository
  return rest.includes('/') ? repository : rest
}

function suffix(reference: Reference): string {
  return `${reference.tag === undefined ? '' : `:${reference.tag}`}${reference.digest === undefined ? '' : `@${reference.digest}`}`
}
