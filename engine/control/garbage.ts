import { kindOf, kinds } from '../object/kinds.ts'
import type { KubeObject } from '../object/meta.ts'
import type { OwnerReference } from '../object/types.generated.ts'
import {
  type Controller,
  type Decision,
  decide,
  deletion,
  type Key,
  keyOf,
  nothing,
  type Write,
} from './decision.ts'
import type { View } from './view.ts'

const foreground = 'foregroundDeletion'
const orphan = 'orphan'

/** Deletes what no owner is left of, and carries out foreground and orphaning deletions. */
export const garbageController: Controller = {
  name: 'garbage-collector',
  reconcile,
  affected(view, object): readonly Key[] {
    const { uid = '', namespace = '', name = '' } = object.metadata
    const present = view.get(object.kind as Key['kind'], namespace, name)
    const leaving = present?.metadata.uid !== uid || present.metadata.deletionTimestamp !== undefined
    const dependents = leaving ? view.dependents(uid) : []
    const owners = (object.metadata.ownerReferences ?? []).flatMap(
      (reference) => ownerOf(view, object, reference) ?? [],
    )
    const waiting = owners.filter((owner) => owner.metadata.deletionTimestamp)
    return [...(isConcerned(object) ? [object] : []), ...dependents, ...waiting].map(keyOf)
  },
}

function isConcerned({ metadata }: KubeObject): boolean {
  return metadata.ownerReferences !== undefined || metadata.deletionTimestamp !== undefined
}

function reconcile(view: View, key: Key): Decision {
  const object: KubeObject | undefined = view.get(key.kind, key.namespace, key.name)
  if (!object) return nothing
  if (object.metadata.deletionTimestamp) return finish(view, object)
  const references = object.metadata.ownerReferences ?? []
  if (references.length === 0) return nothing
  const living = references.filter((reference) => isUnknown(reference) || ownerOf(view, object, reference))
  const ending = living.filter((reference) => {
    const finalizers = ownerOf(view, object, reference)?.metadata.finalizers
    return reference.blockOwnerDeletion && finalizers?.includes(foreground)
  })
  if (living.length === 0 || (ending.length > 0 && ending.length === living.length)) {
    const [owner] = references
    const why = `its owner ${owner?.kind} "${owner?.name}" ${living.length === 0 ? 'is gone' : 'is being deleted'}`
    const hasDependents = view.dependents(object.metadata.uid ?? '').length > 0
    const propagation = ending.length > 0 && hasDependents ? 'Foreground' : 'Background'
    return decide([deletion(object, why, { propagation })])
  }
  if (living.length === references.length) return nothing
  const metadata = { ...object.metadata, ownerReferences: living }
  return decide([{ verb: 'update', object: { ...object, metadata }, why: 'one of its owners is gone' }])
}

/** The part of a deletion that concerns dependents: wait for those that block, or let them all go free. */
function finish(view: View, object: KubeObject): Decision {
  const { uid = '', finalizers = [] } = object.metadata
  const dependents = view.dependents(uid)
  const without = (name: string): Write => ({
    verb: 'update',
    object: { ...object, metadata: { ...object.metadata, finalizers: finalizers.filter((f) => f !== name) } },
    why: name === orphan ? 'its dependents are free' : 'its dependents are gone',
  })
  if (finalizers.includes(orphan)) {
    const freed = dependents.map((dependent): Write => {
      const ownerReferences = (dependent.metadata.ownerReferences ?? []).filter(
        (reference) => reference.uid !== uid,
      )
      const metadata = { ...dependent.metadata, ownerReferences }
      return { verb: 'update', object: { ...dependent, metadata }, why: 'its owner is deleted and leaves it' }
    })
    return decide(freed.length > 0 ? freed : [without(orphan)])
  }
  if (!finalizers.includes(foreground)) return nothing
  const blocking = dependents.filter((dependent) =>
    dependent.metadata.ownerReferences?.some(
      (reference) => reference.uid === uid && reference.blockOwnerDeletion,
    ),
  )
  return blocking.length === 0 ? decide([without(foreground)]) : nothing
}

/** The owner that a reference means, by uid: a namesake made later is another object. */
function ownerOf(view: View, object: KubeObject, reference: OwnerReference): KubeObject | undefined {
  const kind = kindOf(reference.apiVersion, reference.kind) ?? kinds.find((k) => k.kind === reference.kind)
  if (!kind) return undefined
  const namespace = kind.namespaced ? (object.metadata.namespace ?? '') : ''
  const owner = view.get(kind.kind as Key['kind'], namespace, reference.name)
  return owner?.metadata.uid === reference.uid ? owner : undefined
}

/** Of a kind that is not served here nobody can say that it is gone. */
function isUnknown(reference: OwnerReference): boolean {
  return (
    kindOf(reference.apiVersion, reference.kind) === undefined &&
    !kinds.some((kind) => kind.kind === reference.kind)
  )
}
