import type { Probe } from '../object/types.generated.ts'

export type ProbeKind = 'startup' | 'readiness' | 'liveness'
export type ProbeResult = 'unknown' | 'success' | 'failure'

/** What is known of one probe of one run of a container. */
export interface ProbeState {
  /** What counts: it turns only after enough equal outcomes in a row. */
  readonly result: ProbeResult
  /** The last outcome, and how often in a row it came. */
  readonly last?: 'success' | 'failure'
  readonly inRow: number
  /** When it was last tried. */
  readonly triedAt?: number
}

export const untried: ProbeState = { result: 'unknown', inRow: 0 }

/** The state after an outcome. A startup or liveness probe whose result is failure ends the container. */
export function afterOutcome(probe: Probe, state: ProbeState, good: boolean, now: number): ProbeState {
  const last = good ? 'success' : 'failure'
  const inRow = state.last === last ? state.inRow + 1 : 1
  const needed = good ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3)
  return { result: inRow >= needed ? last : state.result, last, inRow, triedAt: now }
}

/** When a probe is next due for a container that runs since `startedAt`. */
export function dueAt(probe: Probe, state: ProbeState, startedAt: number): number {
  const first = startedAt + (probe.initialDelaySeconds ?? 0) * 1000
  if (state.triedAt === undefined) return first
  return Math.max(first, state.triedAt + (probe.periodSeconds ?? 10) * 1000)
}

/** The probes of a container that are at work now: while it starts up, only the startup probe. */
export function activeProbes(
  container: {
    readonly startupProbe?: Probe
    readonly readinessProbe?: Probe
    readonly livenessProbe?: Probe
  },
  states: Readonly<Partial<Record<ProbeKind, ProbeState>>>,
): readonly (readonly [ProbeKind, Probe])[] {
  const { startupProbe, readinessProbe, livenessProbe } = container
  if (startupProbe && states.startup?.result !== 'success') return [['startup', startupProbe]]
  return [
    ...(readinessProbe ? [['readiness', readinessProbe] as const] : []),
    ...(livenessProbe ? [['liveness', livenessProbe] as const] : []),
  ]
}
