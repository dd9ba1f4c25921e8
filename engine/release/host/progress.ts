import type { StepKind } from '../plan.ts'

/** What happens during an operation, for a person to follow. */
export type Progress =
  | { readonly type: 'step'; readonly step: string; readonly kind: StepKind }
  | { readonly type: 'applied' | 'removed'; readonly object: string }
  | {
      readonly type: 'hook'
      readonly object: string
      readonly event: string
      readonly phase: 'Running' | 'Succeeded' | 'Failed'
    }
  | {
      readonly type: 'state'
      readonly object: string
      readonly state: 'ready' | 'waiting' | 'failed'
      readonly reason: string
    }
  | { readonly type: 'warning'; readonly text: string }

/** How an operation runs. */
export interface RunOptions {
  readonly signal: AbortSignal
  readonly onProgress?: (progress: Progress) => void
}
