import type { Digest } from '../content/digest.ts'

/**
 * What happens to one layer while an image is pulled or pushed. A layer goes waiting → downloading… → downloaded →
 * extracting… → done, or exists at once; pushed: waiting → uploading… → done, or exists or mounted.
 */
export interface LayerProgress {
  readonly layer: Digest
  readonly state:
    | 'waiting'
    | 'downloading'
    | 'downloaded'
    | 'extracting'
    | 'uploading'
    | 'done'
    | 'exists'
    | 'mounted'
  readonly currentBytes?: number
  readonly totalBytes?: number
}

export type OnProgress = (progress: LayerProgress) => void

/** Lets at most one event of `everyMs` through for each layer and state, and every change of state. */
export function throttled(listener: OnProgress, everyMs: number, now: () => number): OnProgress {
  const last = new Map<Digest, { state: string; at: number }>()
  return (progress) => {
    const before = last.get(progress.layer)
    const at = now()
    if (
      before?.state === progress.state &&
      at - before.at < everyMs &&
      progress.currentBytes !== progress.totalBytes
    )
      return
    last.set(progress.layer, { state: progress.state, at })
    listener(progress)
  }
}
