import { BerthError } from '../base/error.ts'
import type { Chart, Values } from '../chart/chart.ts'
import { coalesceValues, mergeValues } from '../chart/values.ts'
import type { JournalOptions, ReleaseRecord } from './record.ts'

/** How an upgrade treats the values of the revision before. */
export type ValuesMode = 'default' | 'reset' | 'reuse' | 'reset-then-reuse'

export interface ReleaseRequest {
  readonly name: string
  readonly namespace: string
  /** Who asks, for the one who is refused meanwhile. */
  readonly caller?: string
  /** What an operation does not say is as `defaultOptions` has it. */
  readonly options?: Partial<JournalOptions>
}

export interface InstallRequest extends ReleaseRequest {
  readonly chart: Chart
  readonly values: Values
  readonly createNamespace?: boolean
  /** Takes objects that are there and belong to nobody or somebody else. */
  readonly takeOwnership?: boolean
  readonly dryRun?: 'client' | 'server'
  readonly skipSchema?: boolean
  readonly labels?: Readonly<Record<string, string>>
}

export interface UpgradeRequest extends InstallRequest {
  /** Installs when there is nothing to upgrade. */
  readonly install?: boolean
  readonly valuesMode?: ValuesMode
}

export interface RollbackRequest extends ReleaseRequest {
  /** 0 or nothing: the revision before the last. */
  readonly version?: number
  readonly dryRun?: boolean
  readonly labels?: Readonly<Record<string, string>>
}

export interface UninstallRequest extends ReleaseRequest {
  readonly ignoreNotFound?: boolean
  readonly dryRun?: boolean
}

const defaultOptions: JournalOptions = {
  wait: false,
  waitForJobs: false,
  timeoutMs: 300_000,
  hooks: true,
  forceConflicts: false,
  rollbackOnFailure: false,
  keepHistory: false,
  historyMax: 10,
  description: '',
}

/** All options of a request; undoing a failure needs to see it first, so it implies waiting. */
export function optionsOf({ options = {} }: ReleaseRequest): JournalOptions {
  const all = { ...defaultOptions, ...options }
  return all.rollbackOnFailure ? { ...all, wait: true } : all
}

/** Throws `INVALID` for a name that Helm would refuse. */
export function requireReleaseName(name: string): void {
  const pattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
  if (name.length > 0 && name.length <= 53 && pattern.test(name)) return
  throw new BerthError(
    'INVALID',
    `Cannot use release name "${name}": invalid release name, must match regex ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ and the length must not be longer than 53`,
  )
}

/** The chart and the user's values that an upgrade renders: Helm's four ways to treat the values before. */
export function upgradeValues(
  { chart, values, valuesMode = 'default' }: UpgradeRequest,
  before: ReleaseRecord,
): { chart: Chart; values: Values } {
  const old = before.config ?? {}
  switch (valuesMode) {
    case 'reset':
      return { chart, values }
    case 'reuse': {
      // The old chart's defaults stay in force too, whatever the new chart's are.
      const defaults = coalesceValues({ ...chart, values: before.chart.values ?? {}, dependencies: [] }, old)
      return { chart: { ...chart, values: defaults }, values: mergeValues(old, values) }
    }
    case 'reset-then-reuse':
      return { chart, values: mergeValues(old, values) }
    default:
      return { chart, values: Object.keys(values).length === 0 ? old : values }
  }
}
