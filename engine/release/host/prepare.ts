import { BerthError, messageOf } from '../../base/error.ts'
import type { Chart, Values } from '../../chart/chart.ts'
import { type Rendered, renderChart } from '../../chart/render.ts'
import { checkObjects } from '../../template/objects.ts'
import { type Cluster, type ClusterObject, type ObjectRef, refKey, refOf } from '../cluster.ts'
import { type Namespaced, objectsOf, owned, requireOwned } from '../objects.ts'
import type { ReleaseRecord, StoredRecord } from '../record.ts'

export interface RenderRequest {
  readonly chart: Chart
  readonly values: Values
  readonly name: string
  readonly namespace: string
  readonly revision: number
  readonly isUpgrade: boolean
  readonly skipSchema: boolean
  readonly history: readonly StoredRecord[]
  readonly random: (size: number) => Uint8Array
}

/** Renders a chart for a release: generated secrets that exist are kept. */
export async function renderRelease(
  request: RenderRequest,
  cluster: Cluster | undefined,
  signal: AbortSignal,
): Promise<Rendered> {
  const { name, namespace } = request
  const live = cluster
    ? await cluster.list(
        {
          apiVersion: 'v1',
          kind: 'Secret',
          namespace,
          labelSelector: `app.kubernetes.io/instance=${name},app.kubernetes.io/managed-by=Helm`,
        },
        signal,
      )
    : []
  const recorded = request.history
    .toReversed()
    .flatMap(({ record }) => objectsOf(record.manifest, namespace, () => true))
    .filter(({ kind }) => kind === 'Secret')
  const secrets = [...live, ...recorded]
  const rendered = renderChart(request.chart, {
    release: { name, namespace, revision: request.revision, isUpgrade: request.isUpgrade },
    values: request.values,
    skipSchema: request.skipSchema,
    existingSecret: (secretName, key) => {
      const found = secrets.find(
        (secret) =>
          secret.metadata.name === secretName && (secret.data as Record<string, string> | undefined)?.[key],
      )
      const data = (found?.data as Record<string, string> | undefined)?.[key]
      return data === undefined ? undefined : Buffer.from(data, 'base64').toString()
    },
    random: request.random,
  })
  checkObjects(rendered.documents, namespace)
  return rendered
}

/** Asks the API which of the kinds live in namespaces, each once. Kinds that it does not have count as namespaced. */
export async function scopesOf(
  manifests: readonly string[],
  cluster: Cluster,
  signal: AbortSignal,
): Promise<{ namespaced: Namespaced; unknown: ReadonlySet<string> }> {
  const kinds = new Map<string, { apiVersion: string; kind: string }>()
  for (const manifest of manifests)
    for (const { apiVersion, kind } of objectsOf(manifest, '', () => true))
      kinds.set(`${apiVersion} ${kind}`, { apiVersion, kind })
  const scopes = new Map<string, boolean | undefined>()
  for (const [key, { apiVersion, kind }] of kinds)
    scopes.set(key, await cluster.namespaced(apiVersion, kind, signal))
  return {
    namespaced: (apiVersion, kind) => scopes.get(`${apiVersion} ${kind}`) ?? true,
    unknown: new Set([...scopes].filter(([, namespaced]) => namespaced === undefined).map(([key]) => key)),
  }
}

export interface PreflightRequest {
  readonly rendered: Rendered
  readonly release: Pick<ReleaseRecord, 'name' | 'namespace'>
  /** Objects of older revisions: they may be there. */
  readonly before: readonly ObjectRef[]
  readonly takeOwnership: boolean
  readonly forceConflicts: boolean
  /** The namespace will be made first, so objects cannot be tried before. */
  readonly newNamespace: boolean
}

/**
 * Tries everything that can fail before anything is written: kinds that the API does not have, objects of others,
 * and each object by a dry run. Errors carry the template's file and line.
 */
export async function preflight(
  request: PreflightRequest,
  cluster: Cluster,
  signal: AbortSignal,
): Promise<void> {
  const { rendered, release } = request
  const { namespaced, unknown } = await scopesOf([rendered.manifest], cluster, signal)
  const mine = new Set(request.before.map(refKey))
  for (const document of rendered.documents) {
    for (const object of objectsOf(document.text, release.namespace, namespaced)) {
      const where = { path: `${object.kind}/${object.metadata.name}`, ...document.position([]) }
      if (unknown.has(`${object.apiVersion} ${object.kind}`)) {
        throw new BerthError(
          'INVALID',
          `Cannot apply "${document.source}": no matches for kind "${object.kind}" in version "${object.apiVersion}"`,
          { where: { ...where, ...document.position(['kind']) }, hint: 'the API does not have this kind' },
        )
      }
      await tryObject(object, { ...request, mine }, { cluster, signal }).catch((error: unknown) => {
        const known = error instanceof BerthError ? error : undefined
        throw new BerthError(known?.code ?? 'INTERNAL', messageOf(error), {
          where,
          ...(known?.hint === undefined ? {} : { hint: known.hint }),
          cause: error,
        })
      })
    }
  }
}

async function tryObject(
  object: ClusterObject,
  {
    release,
    mine,
    takeOwnership,
    forceConflicts,
    newNamespace,
  }: PreflightRequest & { mine: ReadonlySet<string> },
  { cluster, signal }: { cluster: Cluster; signal: AbortSignal },
): Promise<void> {
  const ref = refOf(object)
  if (!mine.has(refKey(ref)) && !takeOwnership) {
    const live = await cluster.get(ref, signal)
    if (live) requireOwned(live, release)
  }
  if (newNamespace && ref.namespace === release.namespace) return
  await cluster
    .apply(owned(object, release), { force: forceConflicts || takeOwnership, dryRun: true }, signal)
    .catch((error: unknown) => {
      const known = error instanceof BerthError ? error : undefined
      throw new BerthError(
        known?.code ?? 'INTERNAL',
        `Cannot apply ${object.kind} "${object.metadata.name}": ${messageOf(error)}`,
        {
          cause: error,
          ...(known?.code === 'CONFLICT'
            ? { hint: 'somebody else changed it: --force-conflicts takes the fields back' }
            : known?.hint === undefined
              ? {}
              : { hint: known.hint }),
        },
      )
    })
}
