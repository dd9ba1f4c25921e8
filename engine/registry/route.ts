import { type Digest, isDigest } from '../content/digest.ts'

/** What a path of the distribution specification names. */
export type Route =
  | { readonly kind: 'base' | 'token' | 'catalog' }
  | { readonly kind: 'tags' | 'uploads'; readonly name: string }
  | { readonly kind: 'manifest'; readonly name: string; readonly tag?: string; readonly digest?: Digest }
  | { readonly kind: 'blob' | 'referrers'; readonly name: string; readonly digest: Digest }
  | { readonly kind: 'upload'; readonly name: string; readonly id: string }
  | {
      readonly kind: 'wrong'
      readonly code: 'NAME_INVALID' | 'DIGEST_INVALID' | 'TAG_INVALID' | 'BLOB_UPLOAD_UNKNOWN'
    }

const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/
const shapes = [
  { kind: 'tags', pattern: /^(.+)\/tags\/list$/ },
  { kind: 'manifest', pattern: /^(.+)\/manifests\/([^/]+)$/ },
  { kind: 'uploads', pattern: /^(.+)\/blobs\/uploads\/?$/ },
  { kind: 'upload', pattern: /^(.+)\/blobs\/uploads\/([^/]+)$/ },
  { kind: 'blob', pattern: /^(.+)\/blobs\/([^/]+)$/ },
  { kind: 'referrers', pattern: /^(.+)\/referrers\/([^/]+)$/ },
] as const

/** Reads a path; undefined when it is none of the specification's. */
export function parseRoute(path: string): Route | undefined {
  if (path === '/v2' || path === '/v2/') return { kind: 'base' }
  if (path === '/token') return { kind: 'token' }
  if (path === '/v2/_catalog') return { kind: 'catalog' }
  if (!path.startsWith('/v2/')) return undefined
  const rest = path.slice('/v2/'.length)
  for (const { kind, pattern } of shapes) {
    const match = pattern.exec(rest)
    if (!match?.[1]) continue
    return isName(match[1])
      ? routeOf(kind, match[1], match[2] ?? '')
      : { kind: 'wrong', code: 'NAME_INVALID' }
  }
  return undefined
}

/** Whether a repository's name is well formed, and short enough for every component to be a folder. */
export function isName(name: string): boolean {
  return name.length <= 255 && name.split('/').every((part) => component.test(part))
}

function routeOf(kind: (typeof shapes)[number]['kind'], name: string, last: string): Route {
  if (kind === 'tags' || kind === 'uploads') return { kind, name }
  if (kind === 'upload')
    return /^[0-9a-f-]{45}$/.test(last)
      ? { kind, name, id: last }
      : { kind: 'wrong', code: 'BLOB_UPLOAD_UNKNOWN' }
  if (isDigest(last)) return { kind, name, digest: last }
  if (kind !== 'manifest' || last.includes(':')) return { kind: 'wrong', code: 'DIGEST_INVALID' }
  return /^\w[\w.-]{0,127}$/.test(last) ? { kind, name, tag: last } : { kind: 'wrong', code: 'TAG_INVALID' }
}
