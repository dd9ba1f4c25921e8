import { isDeepStrictEqual } from 'node:util'
import { type KindName, type KindTypes, kindOf } from './kinds.ts'
import type { KubeObject } from './meta.ts'
import type { Job, Secret } from './types.generated.ts'
import { claimFinalizer, volumeFinalizer } from './volume-names.ts'

/** Kinds whose `metadata.generation` counts the changes of their spec. */
const counted: readonly KindName[] = ['Pod', 'Deployment', 'ReplicaSet', 'StatefulSet', 'Job']

type Preparations = { readonly [K in KindName]?: (object: KindTypes[K]) => KindTypes[K] }

/**
 * A new object as it goes into the store: the status is the controllers' (dropped where it is a subresource), the
 * generation is 1, and what a kind derives is filled in. Needs `metadata.uid`; comes after the defaults.
 */
export function prepareCreate<T extends KubeObject>(object: T): T {
  const { status, ...rest } = object
  const kind = kindOf(object.apiVersion, object.kind)
  const kept = kind?.subresources.includes('status') ? freshStatus(object) : status
  const { resourceVersion: _, ...metadata } = object.metadata
  const prepared = {
    ...rest,
    metadata: isCounted(object) ? { ...metadata, generation: 1 } : metadata,
    ...(kept === undefined ? {} : { status: kept }),
  } as unknown as T
  const rule = preparations[object.kind as KindName] as ((object: T) => T) | undefined
  return rule ? rule(prepared) : prepared
}

/**
 * An update as it goes into the store. Of the main resource, the status stays as it was; of the status subresource,
 * all but status (and managed fields) stays. The generation grows when the spec changed.
 */
export function prepareUpdate<T extends KubeObject>(
  next: T,
  previous: T,
  subresource?: 'status' | 'scale',
): T {
  const hasStatus = kindOf(next.apiVersion, next.kind)?.subresources.includes('status')
  if (subresource === 'status') {
    const { managedFields, resourceVersion } = next.metadata
    const fields = {
      ...(managedFields ? { managedFields } : {}),
      ...(resourceVersion ? { resourceVersion } : {}),
    }
    return { ...previous, metadata: { ...previous.metadata, ...fields }, status: next.status }
  }
  const { status: _, ...rest } = next
  const main = hasStatus
    ? { ...rest, ...(previous.status === undefined ? {} : { status: previous.status }) }
    : next
  const generation = previous.metadata.generation ?? 1
  const changed = !isDeepStrictEqual(next.spec, previous.spec) || isDeletionNew(next, previous)
  const metadata = isCounted(next)
    ? { ...next.metadata, generation: changed ? generation + 1 : generation }
    : next.metadata
  return plainSecret({ ...main, metadata } as unknown as T)
}

const preparations: Preparations = {
  Namespace: (namespace) => ({ ...namespace, spec: { finalizers: ['kubernetes'] } }),
  PersistentVolumeClaim: (claim) => withFinalizer(claim, claimFinalizer),
  PersistentVolume: (volume) => withFinalizer(volume, volumeFinalizer),
  Job: withSelector,
  Secret: plainSecret,
}

/** Storage that is in use outlives its deletion until nothing uses it. */
function withFinalizer<T extends KubeObject>(object: T, finalizer: string): T {
  const finalizers = object.metadata.finalizers ?? []
  if (finalizers.includes(finalizer)) return object
  return { ...object, metadata: { ...object.metadata, finalizers: [...finalizers, finalizer] } }
}

function isCounted(object: KubeObject): boolean {
  return counted.includes(object.kind as KindName)
}

function isDeletionNew(next: KubeObject, previous: KubeObject): boolean {
  return next.metadata.deletionTimestamp !== undefined && previous.metadata.deletionTimestamp === undefined
}

/** What a new object's status is before its controller has seen it. */
const freshStatuses: Readonly<Record<string, unknown>> = {
  Namespace: { phase: 'Active' },
  Pod: { phase: 'Pending' },
  PersistentVolumeClaim: { phase: 'Pending' },
  PersistentVolume: { phase: 'Pending' },
  Service: { loadBalancer: {} },
  ReplicaSet: { replicas: 0 },
  StatefulSet: { replicas: 0, availableReplicas: 0 },
}

function freshStatus(object: KubeObject): unknown {
  // A node states its own.
  return object.kind === 'Node' ? object.status : freshStatuses[object.kind]
}

/** `stringData` is for writing only: it goes into `data`. */
function plainSecret<T extends KubeObject>(object: T): T {
  const { stringData, ...secret } = object as unknown as Secret
  if (object.kind !== 'Secret' || !stringData) return object
  const encoded = Object.entries(stringData).map(([key, value]) => [
    key,
    Buffer.from(value).toString('base64'),
  ])
  return { ...secret, data: { ...secret.data, ...Object.fromEntries(encoded) } } as unknown as T
}

/** A job that names no selector of its own selects its pods by its uid, and has their labels when it has none. */
function withSelector(job: Job): Job {
  if (job.spec.manualSelector) return job
  const uid = job.metadata.uid ?? ''
  const name = job.metadata.name ?? ''
  const own = job.spec.template.metadata?.labels
  const labels = {
    ...own,
    'controller-uid': uid,
    'job-name': name,
    'batch.kubernetes.io/controller-uid': uid,
    'batch.kubernetes.io/job-name': name,
  }
  const { selector } = job.spec
  const unnamed = isDeepStrictEqual(job.metadata.labels ?? {}, own ?? {})
  return {
    ...job,
    metadata: unnamed ? { ...job.metadata, labels } : job.metadata,
    spec: {
      ...job.spec,
      selector: {
        ...selector,
        matchLabels: { ...selector?.matchLabels, 'batch.kubernetes.io/controller-uid': uid },
      },
      template: { ...job.spec.template, metadata: { ...job.spec.template.metadata, labels } },
    },
  }
}
