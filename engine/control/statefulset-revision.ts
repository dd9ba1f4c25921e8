import { isDeepStrictEqual } from 'node:util'
import { stableHash } from '../object/hash.ts'
import { controllerReference, isControlledBy } from '../object/meta.ts'
import type { ControllerRevision, Pod, PodTemplateSpec, StatefulSet } from '../object/types.generated.ts'
import { deletion, type Write } from './decision.ts'
import { revisionLabel } from './statefulset-pod.ts'
import type { View } from './view.ts'

/** The revisions of a StatefulSet's template, by the names of their ControllerRevisions. */
export interface Revisions {
  /** What pods were before the update that is under way. */
  readonly current: string
  /** The present template. */
  readonly update: string
  templateOf(revision: string): PodTemplateSpec
  /** Must be done before pods are touched. */
  readonly writes: readonly Write[]
  /** Revisions beyond the history limit. */
  readonly surplus: readonly Write[]
}

/** Finds the present template among the stored revisions, or decides to store it; a rollback renews an old one's number. */
export function findRevisions(view: View, set: StatefulSet, pods: readonly Pod[]): Revisions {
  const all = view
    .owned('ControllerRevision', set.metadata.uid ?? '')
    .filter((revision) => isControlledBy(revision, set))
    .sort((a, b) => a.revision - b.revision)
  const wanted = { spec: { template: { ...set.spec.template, $patch: 'replace' } } }
  const newest = all.at(-1)
  const present = all.findLast((revision) => isDeepStrictEqual(revision.data, wanted))
  const number = (newest?.revision ?? 0) + 1
  const created = present ?? newRevision(set, wanted, number)
  const update = created.metadata.name ?? ''
  const known = all.some((revision) => revision.metadata.name === set.status?.currentRevision)
  const current = known ? (set.status?.currentRevision ?? update) : update
  return {
    current,
    update,
    templateOf: (name) =>
      templateIn(all.find((revision) => revision.metadata.name === name)) ?? set.spec.template,
    writes: present
      ? renumbered(present, newest, number)
      : [{ verb: 'create', object: created, why: 'the template is new' }],
    surplus: surplusOf(
      all,
      set,
      new Set([current, update, ...pods.map((pod) => pod.metadata.labels?.[revisionLabel] ?? '')]),
    ),
  }
}

function newRevision(
  set: StatefulSet,
  data: Readonly<Record<string, unknown>>,
  revision: number,
): ControllerRevision {
  const hash = stableHash(data)
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name: `${set.metadata.name}-${hash}`,
      namespace: set.metadata.namespace ?? '',
      labels: { ...set.spec.template.metadata?.labels, 'controller.kubernetes.io/hash': hash },
      ownerReferences: [controllerReference(set)],
    },
    data,
    revision,
  }
}

function renumbered(
  present: ControllerRevision,
  newest: ControllerRevision | undefined,
  revision: number,
): readonly Write[] {
  if (present === newest) return []
  const object: ControllerRevision = { ...present, revision }
  return [{ verb: 'update', object, why: 'its template is the present one again' }]
}

function templateIn(revision: ControllerRevision | undefined): PodTemplateSpec | undefined {
  const data = revision?.data as
    | { readonly spec?: { readonly template?: PodTemplateSpec & { $patch?: string } } }
    | undefined
  const { $patch: _, ...template } = data?.spec?.template ?? {}
  return data?.spec?.template ? template : undefined
}

function surplusOf(
  all: readonly ControllerRevision[],
  set: StatefulSet,
  live: ReadonlySet<string>,
): readonly Write[] {
  const dead = all.filter((revision) => !live.has(revision.metadata.name ?? ''))
  const count = dead.length - (set.spec.revisionHistoryLimit ?? 10)
  return dead
    .slice(0, Math.max(0, count))
    .map((revision) => deletion(revision, 'it is beyond the revision history limit'))
}
