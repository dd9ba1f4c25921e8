import { type Kind, kindByPlural } from '../object/kinds.ts'

/** What a path names. */
export interface Route {
  readonly kind: Kind
  readonly namespace: string
  /** Empty for a collection. */
  readonly name: string
  /** `status`, `scale`, `log`, `exec`…; empty for the object itself. */
  readonly subresource: string
  /** Behind the subresource: the rest of a proxied path. */
  readonly rest: string
}

/**
 * Reads a resource's path; undefined for one that names no kind of berth's.
 *
 *   /api/v1/namespaces/NS/pods/NAME/log      /apis/apps/v1/deployments
 *   /api/v1/namespaces/NAME/finalize         a namespace itself
 */
export function routeOf(path: string): Route | undefined {
  const parts = path.split('/').slice(1).map(decoded)
  if (parts.some((part) => part === undefined)) return undefined
  const [root, ...segments] = parts as string[]
  const group = root === 'apis' ? (segments.shift() ?? '') : ''
  const version = segments.shift() ?? ''
  if ((root !== 'api' && root !== 'apis') || (root === 'apis' && group === '')) return undefined
  let namespace = ''
  const [first, second, third] = segments
  const isNamespaced =
    first === 'namespaces' && third !== undefined && third !== 'status' && third !== 'finalize'
  if (isNamespaced) {
    namespace = second ?? ''
    segments.splice(0, 2)
  }
  const [plural = '', name = '', subresource = '', ...rest] = segments
  const kind = kindByPlural(group, version, plural)
  if (!kind || (isNamespaced && (!kind.namespaced || namespace === ''))) return undefined
  if (kind.namespaced && name !== '' && namespace === '') return undefined
  return { kind, namespace, name, subresource, rest: rest.join('/') }
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}
