import { controllerOf, controllerReference, type KubeObject } from '../object/meta.ts'
import { selects } from '../object/selector.ts'
import type { LabelSelector } from '../object/types.generated.ts'
import { type Key, keyOf, type Write } from './decision.ts'
import type { View } from './view.ts'

/**
 * Sorts out whose objects are whose, by selector and owner: those of the owner that still match are its own; a match
 * without a controller is adopted; its own that match no more are let go. What another controls is never touched. An owner on its
 * way out adopts nothing.
 */
export function claim<T extends KubeObject>(
  owner: KubeObject,
  selector: LabelSelector | undefined,
  candidates: readonly T[],
): { readonly own: readonly T[]; readonly writes: readonly Write[] } {
  const own: T[] = []
  const writes: Write[] = []
  const leaving = owner.metadata.deletionTimestamp !== undefined
  for (const object of candidates) {
    const controller = controllerOf(object)
    const match = selects(selector, object.metadata.labels)
    if (controller?.uid === owner.metadata.uid) {
      if (match) own.push(object)
      else if (!leaving) writes.push(released(object, owner))
    } else if (!controller && match && !leaving && object.metadata.deletionTimestamp === undefined) {
      writes.push(adopted(object, owner))
      own.push(object)
    }
  }
  return { own, writes }
}

function adopted(object: KubeObject, owner: KubeObject): Write {
  const ownerReferences = [...(object.metadata.ownerReferences ?? []), controllerReference(owner)]
  const why = `it has no controller and matches the selector of ${owner.kind} "${owner.metadata.name}"`
  return { verb: 'update', object: { ...object, metadata: { ...object.metadata, ownerReferences } }, why }
}

function released(object: KubeObject, owner: KubeObject): Write {
  const ownerReferences = (object.metadata.ownerReferences ?? []).filter((r) => r.uid !== owner.metadata.uid)
  const why = `its labels no longer match the selector of ${owner.kind} "${owner.metadata.name}"`
  return { verb: 'update', object: { ...object, metadata: { ...object.metadata, ownerReferences } }, why }
}

/** The workloads of a kind that an object concerns: the one that controls it, else those that could adopt it. */
export function ownerOrSelecting(
  view: View,
  kind: 'Deployment' | 'ReplicaSet' | 'StatefulSet',
  object: KubeObject,
): readonly Key[] {
  const owner = controllerOf(object)
  const namespace = object.metadata.namespace ?? ''
  if (owner) return owner.kind === kind ? [{ kind, namespace, name: owner.name }] : []
  return view
    .list(kind, namespace)
    .filter((workload) => selects(workload.spec.selector, object.metadata.labels))
    .map(keyOf)
}
