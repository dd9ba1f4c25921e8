import { isDeepStrictEqual } from 'node:util'
import { stableHash } from '../object/hash.ts'
import { controllerReference } from '../object/meta.ts'
import type { Deployment, PodTemplateSpec, ReplicaSet } from '../object/types.generated.ts'
import type { Write } from './decision.ts'
import { limitsOf } from './rollout.ts'

const hashLabel = 'pod-template-hash'
/** Annotation of ReplicaSets and Deployments that `kubectl rollout` reads. */
export const revisionAnnotation = 'deployment.kubernetes.io/revision'
const desiredAnnotation = 'deployment.kubernetes.io/desired-replicas'
const maxAnnotation = 'deployment.kubernetes.io/max-replicas'
/** Annotations of a Deployment that its ReplicaSets do not take over. */
const ownAnnotations = [
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionAnnotation,
  desiredAnnotation,
  maxAnnotation,
  'deprecated.deployment.rollback.to',
]

/** Oldest first; of the same age by name. */
export function byAge(a: ReplicaSet, b: ReplicaSet): number {
  const [x, y] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? '']
  return x === y ? ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1) : x < y ? -1 : 1
}

/** The ReplicaSet of the Deployment's present template. Of several, the oldest, so that the choice never changes. */
export function newSetOf(deployment: Deployment, sets: readonly ReplicaSet[]): ReplicaSet | undefined {
  const wanted = comparable(deployment.spec.template)
  return sets.find((set) => isDeepStrictEqual(comparable(set.spec.template ?? {}), wanted))
}

/** A ReplicaSet's revision; 0 while it has none. */
export function revisionOf(set: ReplicaSet): number {
  return Number(set.metadata.annotations?.[revisionAnnotation] ?? 0)
}

/** The revision of the present template: one above all others. A rollback makes an old template the newest. */
export function nextRevision(sets: readonly ReplicaSet[], current: ReplicaSet | undefined): number {
  return Math.max(0, ...sets.filter((set) => set !== current).map(revisionOf)) + 1
}

/** The ReplicaSet for a Deployment's present template; its name ends with the template's hash, another one where that is taken. */
export function replicaSetFor(
  deployment: Deployment,
  isTaken: (name: string) => boolean,
  { revision, replicas }: { readonly revision: number; readonly replicas: number },
): ReplicaSet {
  const { template, selector, minReadySeconds } = deployment.spec
  const plain = comparable(template)
  let hash = stableHash(plain)
  for (let i = 1; isTaken(`${deployment.metadata.name}-${hash}`); i++) {
    hash = stableHash(plain, String(i))
  }
  const labels = { ...template.metadata?.labels, [hashLabel]: hash }
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      namespace: deployment.metadata.namespace ?? '',
      labels,
      annotations: annotationsFor(deployment, revision),
      ownerReferences: [controllerReference(deployment)],
    },
    spec: {
      replicas,
      ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  }
}

/** The update that gives the present ReplicaSet its revision, annotations and `minReadySeconds`; nothing when it has them. */
export function annotate(deployment: Deployment, set: ReplicaSet, revision: number): Write[] | undefined {
  const wanted = Math.max(revision, revisionOf(set))
  const annotations = { ...set.metadata.annotations, ...annotationsFor(deployment, wanted) }
  const { minReadySeconds } = deployment.spec
  const { minReadySeconds: before, ...spec } = set.spec
  if (isDeepStrictEqual(annotations, set.metadata.annotations) && before === minReadySeconds) return undefined
  const object: ReplicaSet = {
    ...set,
    metadata: { ...set.metadata, annotations },
    spec: { ...spec, ...(minReadySeconds === undefined ? {} : { minReadySeconds }) },
  }
  return [
    { verb: 'update', object, why: `it is revision ${wanted} of Deployment "${deployment.metadata.name}"` },
  ]
}

/** The set with the Deployment's size noted on it, by which a change of size is told from a rollout; the same object when it is. */
export function noteSize(deployment: Deployment, set: ReplicaSet): ReplicaSet {
  const noted = sizeAnnotations(deployment)
  const before = set.metadata.annotations ?? {}
  if (Object.entries(noted).every(([key, value]) => before[key] === value)) return set
  return { ...set, metadata: { ...set.metadata, annotations: { ...before, ...noted } } }
}

function annotationsFor(deployment: Deployment, revision: number): Record<string, string> {
  const taken = Object.entries(deployment.metadata.annotations ?? {}).filter(
    ([key]) => !ownAnnotations.includes(key),
  )
  return {
    ...Object.fromEntries(taken),
    [revisionAnnotation]: String(revision),
    ...sizeAnnotations(deployment),
  }
}

function sizeAnnotations(deployment: Deployment): Record<string, string> {
  const { wanted, maxTotal } = limitsOf(deployment)
  return { [desiredAnnotation]: String(wanted), [maxAnnotation]: String(maxTotal) }
}

/** A template without the label that only ReplicaSets' have. */
function comparable(template: PodTemplateSpec): unknown {
  const { [hashLabel]: _, ...labels } = template.metadata?.labels ?? {}
  return { ...template, metadata: { ...template.metadata, labels } }
}
