import { controllerOf } from '../object/meta.ts'
import type { PersistentVolumeClaim } from '../object/types.generated.ts'
import { volumeFinalizer } from '../object/volume-names.ts'
import {
  type Controller,
  type Decision,
  decide,
  deletion,
  type Key,
  keyOf,
  nothing,
  statusUpdate,
  type Write,
} from './decision.ts'
import type { View } from './view.ts'

/** Keeps the phase of volumes, and gives up those whose claim is gone, if their policy says so. */
export const volumeController: Controller = {
  name: 'persistentvolume-recycler',
  reconcile,
  affected(view, object): readonly Key[] {
    if (object.kind === 'PersistentVolume') return [keyOf(object)]
    if (object.kind !== 'PersistentVolumeClaim') return []
    const { spec, metadata } = object as PersistentVolumeClaim
    const names = [spec.volumeName ?? '', `pvc-${metadata.uid}`]
    return view
      .list('PersistentVolume')
      .filter(
        (volume) => names.includes(volume.metadata.name ?? '') || volume.spec.claimRef?.uid === metadata.uid,
      )
      .map(keyOf)
  },
}

function reconcile(view: View, key: Key): Decision {
  const volume = view.get('PersistentVolume', '', key.name)
  if (!volume || controllerOf(volume)) return nothing
  const reference = volume.spec.claimRef
  const claim =
    reference && view.get('PersistentVolumeClaim', reference.namespace ?? '', reference.name ?? '')
  const bound = claim !== undefined && claim.metadata.uid === reference?.uid
  if (volume.metadata.deletionTimestamp) return bound ? nothing : decide(letGo(volume))
  // Reserved for a claim that is still to come: no uid yet.
  const waiting = reference !== undefined && !reference.uid
  const phase = bound ? 'Bound' : reference === undefined || waiting ? 'Available' : 'Released'
  if (phase === 'Released' && volume.spec.persistentVolumeReclaimPolicy === 'Delete') {
    return decide([deletion(volume, `its claim "${reference?.namespace}/${reference?.name}" is gone`)])
  }
  return decide(statusUpdate(volume, { ...volume.status, phase }, `it is ${phase.toLowerCase()}`))
}

/** The protection goes; the files of a volume that berth made are then removed by the node, and after them its object. */
function letGo(volume: Parameters<typeof keyOf>[0]): readonly Write[] {
  const finalizers = volume.metadata.finalizers ?? []
  if (!finalizers.includes(volumeFinalizer)) return []
  const metadata = { ...volume.metadata, finalizers: finalizers.filter((name) => name !== volumeFinalizer) }
  return [{ verb: 'update', object: { ...volume, metadata }, why: 'nothing is bound to it' }]
}
