import { apiVersionOf, type Kind } from '../object/kinds.ts'

const readAndWrite = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']

/** Subresources of pods that are connections, not objects. */
const podConnections = [
  { name: 'attach', verbs: ['create', 'get'] },
  { name: 'exec', verbs: ['create', 'get'] },
  { name: 'log', verbs: ['get'] },
]

interface Subresource {
  readonly name: string
  readonly responseKind: { readonly group: string; readonly version: string; readonly kind: string }
  readonly verbs: readonly string[]
}

function subresourcesOf(kind: Kind): Subresource[] {
  const own = { group: kind.group, version: kind.version, kind: kind.kind }
  const scale = { group: 'autoscaling', version: 'v1', kind: 'Scale' }
  const objects = kind.subresources.map((name) => ({
    name: name as string,
    responseKind: name === 'scale' ? scale : own,
    verbs: ['get', 'patch', 'update'],
  }))
  if (kind.kind !== 'Pod') return objects
  return [...objects, ...podConnections.map((one) => ({ ...one, responseKind: own }))]
}

/** `/api` */
export function coreVersions(): object {
  return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }
}

/** `/apis` and `/apis/GROUP` in the form of before 1.27. */
export function groupList(kinds: readonly Kind[]): { kind: string; apiVersion: string; groups: object[] } {
  return {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: groupNames(kinds).map((name) => group(kinds, name)),
  }
}

/** `/apis/GROUP`, or undefined for none of berth's. */
export function groupNamed(kinds: readonly Kind[], name: string): object | undefined {
  if (!groupNames(kinds).includes(name)) return undefined
  return { kind: 'APIGroup', apiVersion: 'v1', ...group(kinds, name) }
}

function groupNames(kinds: readonly Kind[]): string[] {
  return [...new Set(kinds.map((kind) => kind.group))].filter((name) => name !== '')
}

function group(kinds: readonly Kind[], name: string) {
  const versions = versionsOf(kinds, name).map((version) => ({ groupVersion: `${name}/${version}`, version }))
  return { name, versions, preferredVersion: versions[0] }
}

function versionsOf(kinds: readonly Kind[], name: string): string[] {
  return [...new Set(kinds.filter((kind) => kind.group === name).map((kind) => kind.version))]
}

/** `/api/v1`, `/apis/GROUP/VERSION`; undefined for none of berth's. */
export function resourceList(kinds: readonly Kind[], groupVersion: string): object | undefined {
  const here = kinds.filter((kind) => apiVersionOf(kind) === groupVersion)
  if (here.length === 0) return undefined
  const resources = here.flatMap((kind) => [
    {
      name: kind.plural,
      singularName: kind.singular,
      namespaced: kind.namespaced,
      kind: kind.kind,
      verbs: readAndWrite,
      ...(kind.shortNames.length > 0 ? { shortNames: kind.shortNames } : {}),
      ...(kind.categories.length > 0 ? { categories: kind.categories } : {}),
    },
    ...subresourcesOf(kind).map(({ name, responseKind, verbs }) => ({
      name: `${kind.plural}/${name}`,
      singularName: '',
      namespaced: kind.namespaced,
      ...(responseKind.group === kind.group
        ? {}
        : { group: responseKind.group, version: responseKind.version }),
      kind: responseKind.kind,
      verbs,
    })),
  ])
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources }
}

/** `/api` and `/apis` for clients that ask for all at once: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery */
export function aggregated(kinds: readonly Kind[], root: 'api' | 'apis', version: string): object {
  const names = root === 'api' ? [''] : groupNames(kinds)
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: names.map((name) => ({
      metadata: name === '' ? {} : { name },
      versions: versionsOf(kinds, name).map((v) => ({
        version: v,
        freshness: 'Current',
        resources: kinds.filter((kind) => kind.group === name && kind.version === v).map(discovered),
      })),
    })),
  }
}

function discovered(kind: Kind): object {
  return {
    resource: kind.plural,
    responseKind: { group: kind.group, version: kind.version, kind: kind.kind },
    scope: kind.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: kind.singular,
    verbs: readAndWrite,
    ...(kind.shortNames.length > 0 ? { shortNames: kind.shortNames } : {}),
    ...(kind.categories.length > 0 ? { categories: kind.categories } : {}),
    subresources: subresourcesOf(kind).map(({ name, responseKind, verbs }) => ({
      subresource: name,
      responseKind,
      verbs,
    })),
  }
}
