import { BerthError } from '../base/error.ts'
import { splitManifests } from '../template/manifest.ts'
import { readYaml } from '../template/yaml.ts'
import { type ClusterObject, type ObjectRef, refKey, refOf } from './cluster.ts'

/** Tells whether a kind lives in namespaces. */
export type Namespaced = (apiVersion: string, kind: string) => boolean

/** The objects of a record's manifest, each with its namespace; documents without anything in them are passed over. */
export function objectsOf(manifest: string, namespace: string, namespaced: Namespaced): ClusterObject[] {
  return splitManifests(manifest).flatMap(({ text, line }) =>
    readYaml(text, 'manifest', line)
      .map(({ value }) => value)
      .filter((value): value is ClusterObject => value !== null && typeof value === 'object')
      .flatMap((object) => (object.kind === 'List' ? (object.items as ClusterObject[]) : [object]))
      .map((object) => inNamespace(object, namespace, namespaced)),
  )
}

function inNamespace(object: ClusterObject, namespace: string, namespaced: Namespaced): ClusterObject {
  const { namespace: own, ...metadata } = object.metadata
  if (!namespaced(object.apiVersion, object.kind)) return { ...object, metadata }
  return { ...object, metadata: { ...metadata, namespace: own ?? namespace } }
}

const releaseName = 'meta.helm.sh/release-name'
const releaseNamespace = 'meta.helm.sh/release-namespace'
const managedBy = 'app.kubernetes.io/managed-by'

/** An object with the marks by which Helm and berth know whose it is. */
export function owned(object: ClusterObject, release: { name: string; namespace: string }): ClusterObject {
  const { labels, annotations } = object.metadata
  return {
    ...object,
    metadata: {
      ...object.metadata,
      labels: { ...labels, [managedBy]: 'Helm' },
      annotations: { ...annotations, [releaseName]: release.name, [releaseNamespace]: release.namespace },
    },
  }
}

/** Throws `CONFLICT` when an object that is there does not belong to the release. Helm's words. */
export function requireOwned(live: ClusterObject, release: { name: string; namespace: string }): void {
  const { labels, annotations, namespace, name } = live.metadata
  const wrong: string[] = []
  const check = (
    what: string,
    map: Readonly<Record<string, string>> | undefined,
    [key, value]: [string, string],
  ) => {
    const is = map?.[key]
    if (is === value) return
    wrong.push(
      is === undefined
        ? `${what} validation error: missing key "${key}": must be set to "${value}"`
        : `${what} validation error: key "${key}" must equal "${value}": current value is "${is}"`,
    )
  }
  check('label', labels, [managedBy, 'Helm'])
  check('annotation', annotations, [releaseName, release.name])
  check('annotation', annotations, [releaseNamespace, release.namespace])
  if (wrong.length === 0) return
  throw new BerthError(
    'CONFLICT',
    `${live.kind} "${name}" in namespace "${namespace ?? ''}" exists and cannot be imported into the current release: invalid ownership metadata; ${wrong.join('; ')}`,
    {
      where: { file: 'cluster', path: `${live.kind}/${name}` },
      hint: 'remove it, name yours otherwise, or give --take-ownership',
    },
  )
}

/** Whether an object outlives its release: `helm.sh/resource-policy: keep`. */
export function isKept(object: ClusterObject): boolean {
  return object.metadata.annotations?.['helm.sh/resource-policy']?.trim().toLowerCase() === 'keep'
}

/** What of the old objects is in none of the new ones. */
export function leftOver(before: readonly ClusterObject[], after: readonly ClusterObject[]): ObjectRef[] {
  const stays = new Set(after.map((object) => refKey(refOf(object))))
  const found = new Map(before.map((object) => [refKey(refOf(object)), refOf(object)]))
  return [...found].filter(([key]) => !stays.has(key)).map(([, ref]) => ref)
}

/** Claims of StatefulSets that outlive them, of those that are there: `TEMPLATE-SET-N`. */
export function claimsKept(objects: readonly ClusterObject[], claims: readonly string[]): string[] {
  const prefixes = objects
    .filter(({ kind }) => kind === 'StatefulSet')
    .flatMap(({ metadata, spec }) => {
      const { volumeClaimTemplates = [], persistentVolumeClaimRetentionPolicy: policy } = spec as {
        volumeClaimTemplates?: readonly ClusterObject[]
        persistentVolumeClaimRetentionPolicy?: { whenDeleted?: string }
      }
      return policy?.whenDeleted === 'Delete'
        ? []
        : volumeClaimTemplates.map((claim) => `${claim.metadata.name}-${metadata.name}-`)
    })
  return [...new Set(claims)].filter((claim) =>
    prefixes.some((prefix) => claim.startsWith(prefix) && /^\d+$/.test(claim.slice(prefix.length))),
  )
}
