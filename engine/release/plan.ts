import type { HookEvent } from '../template/hooks.ts'
import { installOrder, sortByKind, uninstallOrder } from '../template/order.ts'
import type { ClusterObject, ObjectRef } from './cluster.ts'
import { isKept, leftOver } from './objects.ts'
import type { JournalOptions, RecordedHook } from './record.ts'
import type { Operation } from './situation.ts'
import { wavesOf } from './waves.ts'

/**
 * Every step that an operation may record, with what it does. A process that ends after any of them is carried on
 * from there; each may run twice. Tests end a process after each and fail if one was not reached.
 */
export const stepKinds = {
  hook: 'run one hook: remove its last run, create it, wait until it is done',
  'hook-clean': 'remove hooks that succeeded and ask for it',
  apply: 'apply the objects of one wave',
  ready: 'wait until what the next wave needs is ready',
  prune: 'remove objects that only an older revision has',
  wait: 'wait until all objects are ready',
  remove: 'remove the objects of the release',
  gone: 'wait until the removed objects are gone',
  supersede: 'mark older revisions as superseded',
  trim: 'remove the oldest revisions over the limit',
  purge: "remove the release's older records",
} as const
export type StepKind = keyof typeof stepKinds

export type Step = { readonly id: string } & (
  | { readonly kind: 'hook'; readonly event: HookEvent; readonly hook: RecordedHook }
  | { readonly kind: 'hook-clean'; readonly event: HookEvent; readonly hooks: readonly RecordedHook[] }
  | { readonly kind: 'apply'; readonly objects: readonly ClusterObject[] }
  | { readonly kind: 'ready'; readonly names: readonly string[]; readonly objects: readonly ClusterObject[] }
  | { readonly kind: 'prune'; readonly refs: readonly ObjectRef[] }
  | { readonly kind: 'wait'; readonly objects: readonly ClusterObject[] }
  | { readonly kind: 'remove'; readonly refs: readonly ObjectRef[] }
  | { readonly kind: 'gone'; readonly refs: readonly ObjectRef[] }
  | { readonly kind: 'supersede' }
  | { readonly kind: 'trim' }
  | { readonly kind: 'purge' }
)

export interface PlanInput {
  readonly operation: Operation
  /** The objects of the revision that is made, or for `uninstall` of the one that goes. */
  readonly objects: readonly ClusterObject[]
  /** The objects of older revisions that may still be there. */
  readonly before: readonly ClusterObject[]
  readonly hooks: readonly RecordedHook[]
  readonly options: JournalOptions
}

const events: Readonly<Record<Operation, readonly [HookEvent, HookEvent]>> = {
  install: ['pre-install', 'post-install'],
  upgrade: ['pre-upgrade', 'post-upgrade'],
  rollback: ['pre-rollback', 'post-rollback'],
  uninstall: ['pre-delete', 'post-delete'],
}

/** The steps of an operation, in order. Pure: the same record gives the same steps after a crash. */
export function planRelease(input: PlanInput): Step[] {
  const [before, after] = events[input.operation]
  const hooks = (event: HookEvent) => (input.options.hooks ? hookSteps(input.hooks, event) : [])
  const middle = input.operation === 'uninstall' ? removeSteps(input) : applySteps(input)
  const last: Step[] =
    input.operation === 'uninstall'
      ? input.options.keepHistory
        ? [{ id: 'supersede', kind: 'supersede' }]
        : [{ id: 'purge', kind: 'purge' }]
      : [
          { id: 'supersede', kind: 'supersede' },
          ...(input.options.historyMax > 0 ? [{ id: 'trim', kind: 'trim' } as const] : []),
        ]
  return [...hooks(before), ...middle, ...hooks(after), ...last]
}

function hookSteps(hooks: readonly RecordedHook[], event: HookEvent): Step[] {
  const running = hooks
    .filter((hook) => hook.events.includes(event))
    .toSorted((a, b) => (a.weight ?? 0) - (b.weight ?? 0) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  if (running.length === 0) return []
  return [
    ...running.map((hook, i): Step => ({ id: `hook-${event}-${i}`, kind: 'hook', event, hook })),
    { id: `hook-clean-${event}`, kind: 'hook-clean', event, hooks: running },
  ]
}

function applySteps({ objects, before, options }: PlanInput): Step[] {
  const waves = wavesOf(sortByKind(objects, installOrder))
  const steps = waves.flatMap((wave, i): Step[] => [
    ...(wave.after.length === 0
      ? []
      : [
          {
            id: `ready-${i}`,
            kind: 'ready',
            names: wave.after,
            objects: objects.filter(({ metadata }) => wave.after.includes(metadata.name)),
          } as const,
        ]),
    { id: `apply-${i}`, kind: 'apply', objects: wave.objects },
  ])
  const gone = sortByKind(
    leftOver(
      before.filter((object) => !isKept(object)),
      objects,
    ),
    uninstallOrder,
  )
  return [
    ...steps,
    ...(gone.length === 0 ? [] : [{ id: 'prune', kind: 'prune', refs: gone } as const]),
    ...(options.wait ? [{ id: 'wait', kind: 'wait', objects } as const] : []),
  ]
}

function removeSteps({ objects, before, options }: PlanInput): Step[] {
  const all = [...objects, ...before]
  const kept = all.filter(isKept)
  const refs = sortByKind(leftOver(all, kept), uninstallOrder)
  return [
    { id: 'remove', kind: 'remove', refs },
    ...(options.wait ? [{ id: 'gone', kind: 'gone', refs } as const] : []),
  ]
}
