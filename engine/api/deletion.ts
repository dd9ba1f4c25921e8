import { BerthError } from '../base/error.ts'
import type { Pod } from '../object/types.generated.ts'
import type { StoredObject } from '../store/object.ts'
import { keyOf } from '../store/object.ts'
import type { DeleteOptions, ObjectStore } from '../store/objects.ts'
import { unsupportedOption } from './options.ts'

/** `DeleteOptions` of the Kubernetes API, from a body or a query. */
export interface DeleteRequest {
  readonly gracePeriodSeconds?: number
  readonly propagationPolicy?: string
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string }
  readonly dryRun?: boolean
}

/** Reads the options; a body wins over the query. Throws `INVALID`. */
export function deleteRequestOf(body: unknown, query: URLSearchParams): DeleteRequest {
  const given = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
  const grace = given.gracePeriodSeconds ?? query.get('gracePeriodSeconds') ?? undefined
  const seconds = grace === undefined ? undefined : Number(grace)
  if (seconds !== undefined && (!Number.isSafeInteger(seconds) || seconds < 0)) {
    throw new BerthError('INVALID', `gracePeriodSeconds must be a whole number, not ${JSON.stringify(grace)}`)
  }
  const orphan = given.orphanDependents ?? query.get('orphanDependents') ?? undefined
  const legacy = orphan === undefined ? undefined : String(orphan) === 'true' ? 'Orphan' : 'Background'
  const policy = given.propagationPolicy ?? query.get('propagationPolicy') ?? legacy
  if (policy !== undefined && !['Background', 'Foreground', 'Orphan'].includes(String(policy))) {
    throw unsupportedOption('DeleteOptions', 'propagationPolicy', {
      value: policy,
      supported: ['Foreground', 'Background', 'Orphan', 'nil'],
    })
  }
  const dryRun = given.dryRun ?? query.getAll('dryRun')
  return {
    ...(seconds === undefined ? {} : { gracePeriodSeconds: seconds }),
    ...(policy === undefined ? {} : { propagationPolicy: String(policy) }),
    preconditions: (given.preconditions ?? {}) as NonNullable<DeleteRequest['preconditions']>,
    dryRun: Array.isArray(dryRun) && dryRun.length > 0,
  }
}

const propagation: Readonly<Record<string, DeleteOptions['propagation']>> = {
  Foreground: 'foregroundDeletion',
  Orphan: 'orphan',
}

/** Deletes one object as asked. `removed` is false while it stays: finalizers, or a pod's time to end. */
export async function removeObject(
  objects: ObjectStore,
  object: StoredObject,
  { propagationPolicy, preconditions, gracePeriodSeconds, dryRun = false }: DeleteRequest,
): Promise<{ readonly object: StoredObject; readonly removed: boolean }> {
  return objects.delete(keyOf(object), {
    graceSeconds: graceSeconds(object, gracePeriodSeconds),
    ...(propagationPolicy === undefined ? {} : { propagation: propagation[propagationPolicy] }),
    ...(preconditions?.uid ? { uid: preconditions.uid } : {}),
    ...(preconditions?.resourceVersion ? { resourceVersion: preconditions.resourceVersion } : {}),
    dryRun,
  })
}

/** Only a pod that a node has (and whose containers may still run) gets time to end; kubelet's part deletes it then with 0. */
function graceSeconds(object: StoredObject, asked: number | undefined): number {
  if (object.kind !== 'Pod') return 0
  const { spec, status } = object as unknown as Pod
  if (!spec.nodeName || status?.phase === 'Succeeded' || status?.phase === 'Failed') return 0
  return asked ?? spec.terminationGracePeriodSeconds ?? 30
}
