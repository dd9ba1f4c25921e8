const firstMs = 10_000
const longestMs = 300_000
const forgetAfterMs = 600_000

/** How long to wait after the next failure of something that failed before: kubelet's rule. */
export interface BackOff {
  readonly delayMs: number
  /** When it was last tried again. */
  readonly triedAt: number
}

/** When to try again what failed at a time: at once the first time, and after 10 minutes without a failure. */
export function retryAt(before: BackOff | undefined, failedAt: number): number {
  return isForgotten(before, failedAt) ? failedAt : failedAt + before.delayMs
}

/** The back-off from a new try on: 10 s, doubling up to 5 min. */
export function afterRetry(before: BackOff | undefined, now: number): BackOff {
  return {
    delayMs: isForgotten(before, now) ? firstMs : Math.min(longestMs, before.delayMs * 2),
    triedAt: now,
  }
}

function isForgotten(before: BackOff | undefined, time: number): before is undefined {
  return before === undefined || time - before.triedAt > forgetAfterMs
}

/** A delay as kubelet writes it: `10s`, `1m20s`, `5m0s`. */
export function delayText(ms: number): string {
  const seconds = Math.round(ms / 1000)
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`
}

/** How long something took, as Go writes it to the millisecond: `0s`, `312ms`, `1.5s`, `1m2.034s`. */
export function tookText(ms: number): string {
  const whole = Math.round(ms)
  if (whole < 1000) return whole === 0 ? '0s' : `${whole}ms`
  const seconds = `${(whole % 60_000) / 1000}s`
  return whole < 60_000 ? seconds : `${Math.floor(whole / 60_000)}m${seconds}`
}
