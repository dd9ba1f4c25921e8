import type { StoredObject } from '../../store/object.ts'

/** What the collector reads. */
export interface OwnershipView {
  byUid(uid: string): StoredObject | undefined
  byOwner(uid: string): readonly StoredObject[]
  inNamespace(namespace: string): readonly StoredObject[]
}

/** One write. Each is safe to repeat, and to lose. */
export type CollectorStep =
  | { readonly type: 'remove'; readonly object: StoredObject; readonly foreground: boolean }
  /** Takes references to these owners away. */
  | { readonly type: 'disown'; readonly object: StoredObject; readonly owners: readonly string[] }
  | { readonly type: 'finalize'; readonly object: StoredObject; readonly finalizer: string }
  | { readonly type: 'finish-namespace'; readonly object: StoredObject }

/**
 * What has to be done about one object: a namespace that ends loses its contents, then itself; an object that is
 * deleted in the foreground waits for its dependents, one deleted as `orphan` lets them go first; an object whose
 * owners are all gone follows them. Empty when there is nothing to do now.
 * https://kubernetes.io/docs/concepts/architecture/garbage-collection/
 */
export function planCollection(object: StoredObject, view: OwnershipView): CollectorStep[] {
  const { deletionTimestamp, finalizers = [], uid } = object.metadata
  if (!deletionTimestamp) return absentOwners(object, view)
  if (object.kind === 'Namespace' && object.apiVersion === 'v1') return endNamespace(object, view)
  if (finalizers.includes('orphan')) {
    const dependents = view.byOwner(uid)
    if (dependents.length > 0) {
      return dependents.map((dependent) => ({ type: 'disown', object: dependent, owners: [uid] }))
    }
    return [{ type: 'finalize', object, finalizer: 'orphan' }]
  }
  if (finalizers.includes('foregroundDeletion')) return endForeground(object, view)
  return []
}

function absentOwners(object: StoredObject, view: OwnershipView): CollectorStep[] {
  const owners = object.metadata.ownerReferences ?? []
  const absent = owners.filter(({ uid }) => !view.byUid(uid)).map(({ uid }) => uid)
  if (absent.length === 0) return []
  if (absent.length === owners.length) return [{ type: 'remove', object, foreground: false }]
  return [{ type: 'disown', object, owners: absent }]
}

function endForeground(object: StoredObject, view: OwnershipView): CollectorStep[] {
  const { uid } = object.metadata
  const dependents = view.byOwner(uid)
  const blocks = dependents.some((dependent) =>
    dependent.metadata.ownerReferences?.some((owner) => owner.uid === uid && owner.blockOwnerDeletion),
  )
  if (!blocks) return [{ type: 'finalize', object, finalizer: 'foregroundDeletion' }]
  return dependents
    .filter(
      ({ metadata }) =>
        !metadata.deletionTimestamp && hasOnlyEndingOwners(metadata.ownerReferences ?? [], view),
    )
    .map((dependent) => ({
      type: 'remove',
      object: dependent,
      foreground: view.byOwner(dependent.metadata.uid).length > 0,
    }))
}

/** A dependent with another owner that stays is not deleted with this one. */
function hasOnlyEndingOwners(owners: readonly { readonly uid: string }[], view: OwnershipView): boolean {
  return owners.every(({ uid }) => {
    const owner = view.byUid(uid)
    return !owner || owner.metadata.finalizers?.includes('foregroundDeletion')
  })
}

function endNamespace(object: StoredObject, view: OwnershipView): CollectorStep[] {
  const contents = view.inNamespace(object.metadata.name)
  if (contents.length === 0) return [{ type: 'finish-namespace', object }]
  return contents
    .filter(({ metadata }) => !metadata.deletionTimestamp)
    .map((one) => ({ type: 'remove', object: one, foreground: false }))
}
