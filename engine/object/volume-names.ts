/** The CSI driver of volumes that berth makes: the handle is the named volume `NAMESPACE_CLAIM`. */
export const volumeDriver = 'volume.berth.dev'

/** Keeps a PersistentVolume's object until the node has removed its files. */
export const dataFinalizer = 'volume.berth.dev/data'

/** Keep a claim while a pod uses it, and a volume while a claim is bound to it. */
export const claimFinalizer = 'kubernetes.io/pvc-protection'
export const volumeFinalizer = 'kubernetes.io/pv-protection'
