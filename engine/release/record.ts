import { gunzipSync, gzipSync } from 'node:zlib'
import { BerthError, messageOf } from '../base/error.ts'
import type { Chart, ChartFile, Values } from '../chart/chart.ts'
import type { HookDeletePolicy, HookEvent } from '../template/hooks.ts'
import type { Cascade, ClusterObject } from './cluster.ts'

export const statuses = [
  'unknown',
  'deployed',
  'uninstalled',
  'superseded',
  'failed',
  'uninstalling',
  'pending-install',
  'pending-upgrade',
  'pending-rollback',
] as const
export type Status = (typeof statuses)[number]

/** A hook in a record, with its last run. */
export interface RecordedHook {
  readonly name: string
  readonly kind: string
  readonly path: string
  readonly manifest: string
  readonly events: readonly HookEvent[]
  readonly last_run: { readonly started_at?: string; readonly completed_at?: string; readonly phase: string }
  readonly weight?: number
  readonly delete_policies?: readonly HookDeletePolicy[]
  readonly output_log_policies?: readonly string[]
}

export interface RecordedFile {
  readonly name: string
  /** base64 */
  readonly data: string
  readonly modtime?: string
}

export interface RecordedChart {
  readonly metadata: Readonly<Record<string, unknown>> & {
    readonly name: string
    readonly version: string
    readonly appVersion?: string
  }
  readonly lock: unknown
  readonly templates: readonly RecordedFile[] | null
  readonly values: Values | null
  /** base64 */
  readonly schema: string | null
  readonly files: readonly RecordedFile[] | null
}

/** One revision of a release: Helm's record, field for field, so that either tool reads the other's. */
export interface ReleaseRecord {
  readonly name: string
  readonly namespace: string
  readonly version: number
  readonly info: {
    readonly first_deployed: string
    readonly last_deployed: string
    readonly deleted?: string
    readonly description: string
    readonly status: Status
    readonly notes?: string
  }
  readonly chart: RecordedChart
  readonly config?: Values
  readonly manifest: string
  readonly hooks?: readonly RecordedHook[]
  readonly apply_method?: string
}

/** What berth keeps beside Helm's record, as an annotation of the same Secret: written and lost together with it. */
export interface Journal {
  readonly operation: 'install' | 'upgrade' | 'rollback' | 'uninstall'
  /** Steps that are done. */
  readonly done: readonly string[]
  readonly options: JournalOptions
  /** What follows a failure that is recorded already. */
  readonly then?: 'uninstall' | 'rollback'
}

/** The options that the rest of an interrupted operation needs. */
export interface JournalOptions {
  readonly wait: boolean
  readonly waitForJobs: boolean
  readonly timeoutMs: number
  readonly hooks: boolean
  readonly forceConflicts: boolean
  readonly rollbackOnFailure: boolean
  readonly keepHistory: boolean
  /** 0 keeps all. */
  readonly historyMax: number
  /** What becomes of dependents when their owner is removed; journals of old do not have it. */
  readonly cascade?: Cascade
  readonly description: string
}

/** A record as it is stored, with what lies beside it. */
export interface StoredRecord {
  readonly record: ReleaseRecord
  readonly journal: Journal | undefined
  readonly labels: Readonly<Record<string, string>>
}

const journalAnnotation = 'berth.dev/journal'
/** Labels that Helm sets itself; the others are the user's. */
const systemLabels = ['name', 'owner', 'status', 'version', 'createdAt', 'modifiedAt']

/** `sh.helm.release.v1.NAME.vN`. */
export function recordName(release: string, version: number): string {
  return `sh.helm.release.v1.${release}.v${version}`
}

/**
 * A record as the Secret that Helm keeps: type helm.sh/release.v1, labels to find it by, and in `data.release`
 * base64 (Helm's) of gzip of JSON, once more in base64 (Kubernetes').
 */
export function encodeRecord({ record, journal, labels }: StoredRecord, nowMs: number): ClusterObject {
  const packed = gzipSync(recordJson(record), { level: 9 }).toString('base64')
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: recordName(record.name, record.version),
      namespace: record.namespace,
      labels: {
        ...labels,
        name: record.name,
        owner: 'helm',
        status: record.info.status,
        version: String(record.version),
        modifiedAt: String(Math.floor(nowMs / 1000)),
      },
      annotations: journal === undefined ? {} : { [journalAnnotation]: JSON.stringify(journal) },
    },
    type: 'helm.sh/release.v1',
    data: { release: Buffer.from(packed).toString('base64') },
  }
}

/** The record in a Secret of Helm's or berth's. Throws `INVALID` when it cannot be read. */
export function decodeRecord(secret: ClusterObject): StoredRecord {
  const { name, annotations, labels } = secret.metadata
  try {
    const outer = Buffer.from(String((secret.data as Record<string, string>).release), 'base64').toString()
    const inner = Buffer.from(outer, 'base64')
    const json =
      inner[0] === 0x1f && inner[1] === 0x8b ? gunzipSync(inner, { maxOutputLength: 256 << 20 }) : inner
    const record = JSON.parse(json.toString()) as ReleaseRecord
    const journal = annotations?.[journalAnnotation]
    return {
      record,
      journal: journal === undefined ? undefined : (JSON.parse(journal) as Journal),
      labels: Object.fromEntries(Object.entries(labels ?? {}).filter(([key]) => !systemLabels.includes(key))),
    }
  } catch (error) {
    throw new BerthError('INVALID', `Cannot read release record "${name}": ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** JSON as Go writes it: whole numbers over 2^53 keep their digits. */
function recordJson(record: ReleaseRecord): string {
  return JSON.stringify(record, (_key, value: unknown) =>
    typeof value === 'bigint'
      ? (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(String(value))
      : value,
  )
}

/** A chart as a record keeps it. Sub-charts are not kept, as with Helm. */
export function recordChart(chart: Chart): RecordedChart {
  return {
    metadata: chart.metadata as unknown as RecordedChart['metadata'],
    lock: chart.lock ?? null,
    templates: chart.templates.map(recordFile),
    values: chart.values,
    schema: chart.schema ? Buffer.from(chart.schema.content).toString('base64') : null,
    files: chart.files.map(recordFile),
  }
}

function recordFile({ name, content, modifiedMs }: ChartFile): RecordedFile {
  return {
    name,
    data: Buffer.from(content).toString('base64'),
    ...(modifiedMs === undefined ? {} : { modtime: new Date(modifiedMs).toISOString() }),
  }
}
