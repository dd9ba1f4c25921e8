import { isBerthError } from '../../engine/base/error.ts'
import type { KindRef, KubernetesClient, Table } from '../../engine/client/kubernetes-client.ts'
import type { KubeObject } from '../../engine/object/meta.ts'
import { KubernetesCluster } from '../../engine/release/host/kubernetes-cluster.ts'
import { scopesOf } from '../../engine/release/host/prepare.ts'
import { objectsOf } from '../../engine/release/objects.ts'
import type { ReleaseRecord } from '../../engine/release/record.ts'
import { formatTable } from '../table.ts'

/** Tables by what they show: `v1/Service`, and `v1/Pod(related)` for the pods that the others select. */
export type Resources = ReadonlyMap<string, readonly Table[]>

interface Selecting extends KubeObject {
  readonly spec?: { readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> } }
}

const selecting = ['DaemonSet', 'Deployment', 'Job', 'ReplicaSet', 'StatefulSet']

/** What is there of a release's objects and of their pods, in the manifest's order. What is gone is passed over. */
export async function liveResources(
  record: ReleaseRecord,
  client: KubernetesClient,
  signal: AbortSignal,
): Promise<Resources> {
  const { namespaced } = await scopesOf([record.manifest], new KubernetesCluster(client), signal)
  const shown = new Map<string, Table[]>()
  const related = new Map<string, Table>()
  for (const object of objectsOf(record.manifest, record.namespace, namespaced)) {
    const { apiVersion, kind, metadata } = object
    const { name, namespace } = metadata
    const ref = { apiVersion, kind, name, ...(namespace === undefined ? {} : { namespace }) }
    const table = await found(client.table(ref, {}, signal))
    if (!table) continue
    const key = `${apiVersion.split('/').at(-1)}/${kind}`
    shown.set(key, [...(shown.get(key) ?? []), table])
    if (!selecting.includes(kind)) continue
    const labels = (await client.find<Selecting>(ref, signal))?.spec?.selector?.matchLabels ?? {}
    const labelSelector = Object.entries(labels)
      .map((pair) => pair.join('='))
      .join(',')
    if (labelSelector === '' || related.has(labelSelector)) continue
    const pods: KindRef = { apiVersion: 'v1', kind: 'Pod', namespace: namespace ?? record.namespace }
    const podTable = await client.table(pods, { labelSelector }, signal)
    if (podTable.rows?.length) related.set(labelSelector, podTable)
  }
  if (related.size > 0) shown.set('v1/Pod(related)', [...related.values()])
  return shown
}

async function found(table: Promise<Table>): Promise<Table | undefined> {
  try {
    return await table
  } catch (error) {
    if (isBerthError(error, 'NOT_FOUND')) return undefined
    throw error
  }
}

/** The record as `helm status -o json` gives it: what is there lies beside what was applied. */
export function withResources(record: ReleaseRecord, resources: Resources): object {
  if (resources.size === 0) return record
  return { ...record, info: { ...record.info, resources: Object.fromEntries(resources) } }
}

/** The section `RESOURCES:` of `helm status`; nothing when there are none. */
export function resourcesText(resources: Resources): string {
  if (resources.size === 0) return ''
  const sections = [...resources].map(([key, tables]) => {
    const columns = tables[0]?.columnDefinitions ?? []
    const always = (_: unknown, at: number) => (columns[at]?.priority ?? 0) === 0
    const head = columns.filter(always).map(({ name }) => name.toUpperCase())
    const rows = tables.flatMap(({ rows = [] }) => rows.map(({ cells }) => cells.filter(always).map(String)))
    return `==> ${key}\n${formatTable([head, ...rows], { minWidth: 6 })}\n`
  })
  return `RESOURCES:\n${sections.join('')}\n`
}
