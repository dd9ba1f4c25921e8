import type { Kind } from '../object/kinds.ts'
import { aggregated, coreVersions, groupList, groupNamed, resourceList } from './discovery.ts'
import { type ApiRequest, type ApiResponse, jsonResponse, textResponse } from './message.ts'
import { openApiDocument, openApiIndex } from './openapi.ts'

/** The Kubernetes version whose API this is; kubectl warns when its own is more than one minor away. */
const kubernetes = { major: '1', minor: '35', patch: '0' }

export interface MetaOptions {
  readonly kinds: readonly Kind[]
  readonly version: string
}

/** Answers what is about the API itself: version, health, discovery, schemas. Undefined for everything else. */
export async function serveMeta(
  { kinds, version }: MetaOptions,
  request: ApiRequest,
): Promise<ApiResponse | undefined> {
  const { method, headers } = request
  const path = request.path.replace(/(.)\/$/, '$1')
  if (method !== 'GET' && method !== 'HEAD') return undefined
  const [, root = '', first = '', second, ...more] = path.split('/')
  if (/^\/(healthz|livez|readyz)(\/|$)/.test(path)) return textResponse(200, 'ok')
  if (path === '/version') return jsonResponse(200, versionInfo(version))
  if (path === '/openapi/v3') return jsonResponse(200, openApiIndex(kinds, version))
  if (path.startsWith('/openapi/v3/'))
    return found(await openApiDocument(kinds, path.slice('/openapi/v3/'.length)))
  if (path === '/api' || path === '/apis') {
    const form = aggregatedForm(headers.accept)
    if (form) {
      const type = `application/json;g=apidiscovery.k8s.io;v=${form};as=APIGroupDiscoveryList`
      return jsonResponse(200, aggregated(kinds, root as 'api' | 'apis', form), { 'content-type': type })
    }
    return jsonResponse(200, path === '/api' ? coreVersions() : groupList(kinds))
  }
  if (more.length > 0) return undefined
  if (root === 'api' && second === undefined) return found(resourceList(kinds, first))
  if (root === 'apis' && second === undefined) return found(groupNamed(kinds, first))
  if (root === 'apis') return found(resourceList(kinds, `${first}/${second}`))
  return undefined
}

function found(value: object | undefined): ApiResponse | undefined {
  return value && jsonResponse(200, value)
}

/** `v2` or `v2beta1` when the client takes all of discovery in one answer. */
function aggregatedForm(accept = ''): string | undefined {
  if (!accept.includes('as=APIGroupDiscoveryList')) return undefined
  return /g=apidiscovery\.k8s\.io;v=(v2beta1|v2)(?:;|,|$)/.exec(accept.replaceAll(' ', ''))?.[1]
}

function versionInfo(version: string): object {
  const { major, minor, patch } = kubernetes
  return {
    major,
    minor,
    gitVersion: `v${major}.${minor}.${patch}+berth-${version}`,
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: '',
    compiler: 'node',
    platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  }
}
