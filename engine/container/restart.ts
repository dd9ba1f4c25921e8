import type { RestartPolicy } from './container.ts'

const firstDelayMs = 100
const longestDelayMs = 60_000
/** Who ran for so long begins again with the first delay. */
const steadyMs = 10_000

export interface RestartQuestion {
  readonly policy: RestartPolicy
  readonly exitCode: number
  /** A person stopped or killed it. */
  readonly stopped: boolean
  /** Restarts so far by the policy. */
  readonly restartCount: number
  /** Restarts in a row without `steadyMs` of running. */
  readonly failures: number
  readonly ranMs: number
}

/** Whether, and after how long, a container that exited starts again: docker's rules, 100 ms and doubling. */
export function decideRestart(question: RestartQuestion): { delayMs: number; failures: number } | undefined {
  const { policy, exitCode, stopped, restartCount, ranMs } = question
  if (stopped || policy.name === 'no') return undefined
  if (policy.name === 'on-failure') {
    if (exitCode === 0) return undefined
    if (policy.maximumRetryCount > 0 && restartCount >= policy.maximumRetryCount) return undefined
  }
  const failures = ranMs >= steadyMs ? 0 : question.failures
  return { delayMs: Math.min(longestDelayMs, firstDelayMs * 2 ** failures), failures: failures + 1 }
}

/** Whether a container that does not run is started when the daemon starts. */
export function startsWithDaemon(policy: RestartPolicy, stopped: boolean): boolean {
  return policy.name === 'always' || (policy.name === 'unless-stopped' && !stopped)
}
