import { compareQuantities, readQuantity } from '../object/quantity.ts'
import { selects } from '../object/selector.ts'
import type { PersistentVolume, PersistentVolumeClaim } from '../object/types.generated.ts'
import { claimFinalizer, dataFinalizer, volumeDriver } from '../object/volume-names.ts'
import {
  type Controller,
  type Decision,
  decide,
  type Key,
  keyOf,
  nothing,
  statusUpdate,
  type Write,
} from './decision.ts'
import { isFinished } from './pods.ts'
import type { View } from './view.ts'

const boundAnnotation = 'pv.kubernetes.io/bind-completed'
const provisionedAnnotation = 'pv.kubernetes.io/provisioned-by'

/**
 * Binds claims to volumes: to one that was made for it or fits, else to a new one. Every class is this machine's disk;
 * the class "" asks for a volume that somebody made. One write at a time, each planned from what is stored: volume → claim → both statuses.
 */
export const claimController: Controller = {
  name: 'persistentvolume-controller',
  reconcile,
  affected(view, object): readonly Key[] {
    const namespace = object.metadata.namespace ?? ''
    if (object.kind === 'PersistentVolumeClaim') return [keyOf(object)]
    if (object.kind === 'Pod') {
      const names = view
        .list('PersistentVolumeClaim', namespace)
        .filter((claim) => claim.metadata.deletionTimestamp)
      return names.map(keyOf)
    }
    if (object.kind !== 'PersistentVolume') return []
    const reference = (object as PersistentVolume).spec.claimRef
    if (reference)
      return [
        { kind: 'PersistentVolumeClaim', namespace: reference.namespace ?? '', name: reference.name ?? '' },
      ]
    return view
      .list('PersistentVolumeClaim')
      .filter((claim) => !claim.spec.volumeName)
      .map(keyOf)
  },
}

function reconcile(view: View, key: Key): Decision {
  const claim = view.get('PersistentVolumeClaim', key.namespace, key.name)
  if (!claim) return nothing
  if (claim.metadata.deletionTimestamp) return release(view, claim)
  const volume = claim.spec.volumeName
    ? view.get('PersistentVolume', '', claim.spec.volumeName)
    : find(view, claim)
  if (!volume) {
    if (claim.spec.volumeName) return decide(lost(claim))
    if (claim.spec.storageClassName === '') return nothing
    return decide([
      { verb: 'create', object: newVolume(claim), why: `claim "${key.namespace}/${key.name}" has no volume` },
    ])
  }
  if (volume.spec.claimRef?.uid !== claim.metadata.uid) {
    const object: PersistentVolume = { ...volume, spec: { ...volume.spec, claimRef: referenceTo(claim) } }
    return decide([{ verb: 'update', object, why: `claim "${key.namespace}/${key.name}" takes it` }])
  }
  if (!claim.spec.volumeName || !claim.metadata.annotations?.[boundAnnotation]) {
    const annotations = { ...claim.metadata.annotations, [boundAnnotation]: 'yes' }
    const metadata = { ...claim.metadata, annotations }
    const object = { ...claim, metadata, spec: { ...claim.spec, volumeName: volume.metadata.name ?? '' } }
    return decide([{ verb: 'update', object, why: `volume "${volume.metadata.name}" is its own` }])
  }
  const status = {
    ...claim.status,
    phase: 'Bound',
    accessModes: volume.spec.accessModes ?? [],
    capacity: volume.spec.capacity ?? {},
  }
  return decide(statusUpdate(claim, status, 'it is bound'))
}

/** A volume that names the claim, or a free one that offers enough; the smallest, so that large ones stay. */
function find(view: View, claim: PersistentVolumeClaim): PersistentVolume | undefined {
  const { uid, namespace, name } = claim.metadata
  const volumes = view.list('PersistentVolume').filter((volume) => !volume.metadata.deletionTimestamp)
  const reserved = volumes.find(({ spec: { claimRef } }) => {
    const same = claimRef?.namespace === namespace && claimRef?.name === name
    return claimRef?.uid ? claimRef.uid === uid : same
  })
  if (reserved) return reserved
  const fitting = volumes.filter((volume) => !volume.spec.claimRef && offers(volume, claim))
  return fitting.sort(
    (a, b) =>
      compareQuantities(capacity(a), capacity(b)) ||
      ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1),
  )[0]
}

function offers({ spec, metadata }: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const wanted = readQuantity(claim.spec.resources?.requests?.storage ?? '0')
  return (
    (spec.storageClassName ?? '') === (claim.spec.storageClassName ?? '') &&
    (spec.volumeMode ?? 'Filesystem') === (claim.spec.volumeMode ?? 'Filesystem') &&
    (claim.spec.accessModes ?? []).every((mode) => spec.accessModes?.includes(mode)) &&
    compareQuantities(readQuantity(spec.capacity?.storage ?? '0'), wanted) >= 0 &&
    (claim.spec.selector === undefined || selects(claim.spec.selector, metadata.labels))
  )
}

function capacity(volume: PersistentVolume) {
  return readQuantity(volume.spec.capacity?.storage ?? '0')
}

function newVolume(claim: PersistentVolumeClaim): PersistentVolume {
  const { storageClassName, accessModes, resources, volumeMode } = claim.spec
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: {
      name: `pvc-${claim.metadata.uid}`,
      annotations: { [provisionedAnnotation]: volumeDriver },
      finalizers: [dataFinalizer],
    },
    spec: {
      capacity: { storage: resources?.requests?.storage ?? '0' },
      accessModes: accessModes ?? [],
      persistentVolumeReclaimPolicy: 'Delete',
      ...(storageClassName ? { storageClassName } : {}),
      volumeMode: volumeMode ?? 'Filesystem',
      claimRef: referenceTo(claim),
      csi: { driver: volumeDriver, volumeHandle: `${claim.metadata.namespace}_${claim.metadata.name}` },
    },
  }
}

function referenceTo({ metadata }: PersistentVolumeClaim) {
  const { namespace = '', name = '', uid = '' } = metadata
  return { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid }
}

function lost(claim: PersistentVolumeClaim): readonly Write[] {
  if (!claim.metadata.annotations?.[boundAnnotation]) return []
  return statusUpdate(
    claim,
    { ...claim.status, phase: 'Lost' },
    `its volume "${claim.spec.volumeName}" is gone`,
  )
}

/** A claim that is deleted stays while a pod uses it. */
function release(view: View, claim: PersistentVolumeClaim): Decision {
  const finalizers = claim.metadata.finalizers ?? []
  const used = view
    .list('Pod', claim.metadata.namespace ?? '')
    .some(
      (pod) =>
        !isFinished(pod) &&
        pod.spec.volumes?.some((v) => v.persistentVolumeClaim?.claimName === claim.metadata.name),
    )
  if (used || !finalizers.includes(claimFinalizer)) return nothing
  const metadata = { ...claim.metadata, finalizers: finalizers.filter((name) => name !== claimFinalizer) }
  return decide([{ verb: 'update', object: { ...claim, metadata }, why: 'no pod uses it any more' }])
}
