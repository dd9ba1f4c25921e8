import { type DraftObject, jsonEqual, type ObjectKey, type StoredObject } from './object.ts'

/** Metadata that an update never changes. */
const storeFields = [
  ...(['name', 'namespace', 'generateName', 'uid', 'resourceVersion', 'creationTimestamp'] as const),
  ...(['deletionTimestamp', 'deletionGracePeriodSeconds', 'generation'] as const),
]

/** Metadata that is left out when it is empty, as Kubernetes does. */
const omittedWhenEmpty = ['labels', 'annotations', 'finalizers', 'ownerReferences', 'managedFields']

/** The metadata without what is empty. */
export function tidy<T extends object>(metadata: T): T {
  const isEmpty = (name: string, value: unknown) =>
    omittedWhenEmpty.includes(name) && Object.keys((value ?? {}) as object).length === 0
  return Object.fromEntries(Object.entries(metadata).filter(([name, value]) => !isEmpty(name, value))) as T
}

/** The object after an update: the store's own metadata kept, the untouched part kept, generation counted. */
export function merged(
  current: StoredObject,
  draft: DraftObject,
  part: 'all' | 'main' | 'status',
): StoredObject {
  const own = current.metadata
  if (part === 'status') {
    const { status: _, ...rest } = current
    const managed = draft.metadata.managedFields ?? own.managedFields
    return {
      ...rest,
      ...('status' in draft ? { status: draft.status } : {}),
      metadata: { ...own, ...(managed ? { managedFields: managed } : {}) },
    } as StoredObject
  }
  const { status, ...body } = draft
  const kept = part === 'main' ? current.status : status
  const metadata: Record<string, unknown> = { ...draft.metadata }
  for (const field of storeFields) {
    if (own[field] === undefined) delete metadata[field]
    else metadata[field] = own[field]
  }
  if (own.generation !== undefined && !jsonEqual(body.spec, current.spec)) {
    metadata.generation = own.generation + 1
  }
  return {
    ...body,
    metadata: tidy(metadata),
    ...(kept === undefined ? {} : { status: kept }),
  } as unknown as StoredObject
}

/** Whether something has yet to be done before the object may go. A namespace has finalizers in its spec too. */
export function isHeld({ apiVersion, kind, metadata, spec }: StoredObject): boolean {
  if (metadata.finalizers?.length) return true
  if (apiVersion !== 'v1' || kind !== 'Namespace') return false
  return ((spec as { finalizers?: readonly string[] } | undefined)?.finalizers?.length ?? 0) > 0
}

/** `Deployment.apps "web" in namespace "shop"`, for messages. */
export function describe({ groupKind, namespace, name }: ObjectKey): string {
  return `${groupKind} "${name}"${namespace === '' ? '' : ` in namespace "${namespace}"`}`
}
