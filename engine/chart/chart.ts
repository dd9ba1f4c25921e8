import type { ChartMetadata } from './metadata.generated.ts'

/** A file of a chart; `name` is its path in the chart, with `/`. */
export interface ChartFile {
  readonly name: string
  readonly content: Uint8Array
  /** Milliseconds; kept so that a packaged chart has the files' own times. */
  readonly modifiedMs?: number
}

/** Values as templates see them. */
export type Values = Readonly<Record<string, unknown>>

/** A loaded chart: Helm's parts, with sub-charts loaded too. */
export interface Chart {
  readonly metadata: ChartMetadata & { readonly apiVersion: 'v1' | 'v2'; readonly appVersion?: string }
  /** Chart.lock, as it was read. */
  readonly lock: unknown
  /** Every file, as it was found. */
  readonly raw: readonly ChartFile[]
  readonly templates: readonly ChartFile[]
  /** Files that are neither templates nor known by name: README, LICENSE, files/… */
  readonly files: readonly ChartFile[]
  /** The chart's own values.yaml. */
  readonly values: Values
  readonly schema?: ChartFile
  readonly dependencies: readonly Chart[]
  /** Where it was loaded from, for errors: a folder or an archive. */
  readonly origin: string
  /** What a person should know and Helm passes over, such as unknown fields of Chart.yaml. */
  readonly warnings: readonly string[]
}

/** `NAME-VERSION`. */
export function chartId({ metadata }: Chart): string {
  return `${metadata.name}-${metadata.version}`
}

/** The text of a file of the chart, if it is there. */
export function fileText(files: readonly ChartFile[], name: string): string | undefined {
  const file = files.find((one) => one.name === name)
  return file && Buffer.from(file.content).toString('utf8')
}
