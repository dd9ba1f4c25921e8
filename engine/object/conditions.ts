import { timeText } from './meta.ts'

/** What conditions of all kinds have in common. */
export interface Condition {
  readonly type: string
  readonly status: string
  readonly reason?: string
  readonly message?: string
  readonly lastTransitionTime?: string
  readonly lastUpdateTime?: string
}

/**
 * The conditions with `next` in its type's place. The transition time moves only when the status changes, and
 * nothing moves when nothing changes: a converged status stays equal.
 */
export function withCondition<T extends Condition>(
  conditions: readonly T[] | undefined,
  next: Omit<T, 'lastTransitionTime' | 'lastUpdateTime'> & Condition,
  now: number,
  options: { readonly updateTime?: true } = {},
): readonly T[] {
  const all = conditions ?? []
  const before = all.find((condition) => condition.type === next.type)
  if (
    before &&
    before.status === next.status &&
    before.reason === next.reason &&
    before.message === next.message
  )
    return all
  const time = timeText(now)
  const condition = {
    ...next,
    ...(options.updateTime ? { lastUpdateTime: time } : {}),
    lastTransitionTime: before?.status === next.status ? (before.lastTransitionTime ?? time) : time,
  } as unknown as T
  return before ? all.map((old) => (old === before ? condition : old)) : [...all, condition]
}
