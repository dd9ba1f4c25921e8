import type { Loaded, Mutation } from './journal.ts'

/** What the store's worker is started with. */
export interface WorkerSettings {
  readonly mainFile: string
  readonly eventsFile: string
}

/** To the worker. Batches are committed in the order of their arrival. */
export type Request =
  | {
      readonly type: 'batch'
      readonly mutations: readonly Mutation[]
      readonly version: number
      readonly reserved: number
    }
  | { readonly type: 'close' }

/** From the worker: one answer a request, in order, after the first, which is `loaded` (or `failed`). */
export type Response =
  | { readonly type: 'loaded'; readonly loaded: Loaded }
  | { readonly type: 'committed' }
  /** `why` as far as people can do something about it. */
  | { readonly type: 'failed'; readonly message: string; readonly why?: 'full' | 'damaged' }
  | { readonly type: 'closed' }
