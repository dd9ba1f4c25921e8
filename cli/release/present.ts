import type { ReleaseRecord } from '../../engine/release/record.ts'
import { writeYaml } from '../../engine/template/yaml.ts'
import type { Output } from '../output.ts'

/** `2026-11-24 23:05:44.188688761 +0000 UTC`: a record's time as Go prints it. */
export function goTime(text: string): string {
  const [, day = '', time = '', fraction = ''] = /^(\S+)T(\d\d:\d\d:\d\d)(?:\.(\d+))?Z$/.exec(text) ?? []
  if (day === '') return text
  const digits = fraction.replace(/0+$/, '')
  return `${day} ${time}${digits === '' ? '' : `.${digits}`} +0000 UTC`
}

/** A time as Go writes it into JSON: without zeros at the end of its fraction. */
export function goJsonTime(text: string): string {
  return text.replace(/(?:\.0+|(\.\d*[1-9])0+)Z$/, '$1Z')
}

/** `Tue Nov 24 23:05:44 2026`. */
export function ansiTime(text: string): string {
  const [weekday = '', day = '', month = '', year = '', time = ''] = new Date(text).toUTCString().split(' ')
  return `${weekday.replace(',', '')} ${month} ${String(Number(day)).padStart(2)} ${time} ${year}`
}

/** A table as Helm prints it: cells as wide as their column, a tab between. */
export function helmTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length)))
  return rows.map((row) => `${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('\t')}\n`).join('')
}

/** `NAME-VERSION` of a record's chart. */
export function chartOf({ chart }: ReleaseRecord): string {
  return `${chart.metadata.name}-${chart.metadata.version}`
}

/** A release's state as `install`, `upgrade` and `status` print it. `withChart`: as `get all` does. */
export function releaseText(
  record: ReleaseRecord,
  options: { notes?: boolean; withChart?: boolean; resources?: string } = {},
): string {
  const { name, info, namespace, version, chart } = record
  const tests = (record.hooks ?? []).filter(({ events }) => events.includes('test'))
  const { metadata } = chart
  return [
    `NAME: ${name}`,
    `LAST DEPLOYED: ${ansiTime(info.last_deployed)}`,
    `NAMESPACE: ${namespace}`,
    `STATUS: ${info.status}`,
    `REVISION: ${version}`,
    ...(options.withChart
      ? [
          `CHART: ${metadata.name}`,
          `VERSION: ${metadata.version}`,
          `APP_VERSION: ${metadata.appVersion ?? ''}`,
        ]
      : []),
    `DESCRIPTION: ${info.description}`,
    ...(options.resources ? [options.resources.replace(/\n$/, '')] : []),
    ...(tests.length === 0
      ? ['TEST SUITE: None']
      : tests.flatMap(({ name: test, last_run: run }) => [
          `TEST SUITE:     ${test}`,
          ...(run.started_at ? [`Last Started:   ${ansiTime(run.started_at)}`] : []),
          ...(run.completed_at ? [`Last Completed: ${ansiTime(run.completed_at)}`] : []),
          `Phase:          ${run.phase}`,
        ])),
    ...(options.notes !== false && info.notes ? [`NOTES:\n${info.notes.replace(/\n+$/, '')}`] : []),
    '',
  ].join('\n')
}

/** What a dry run would apply, as Helm prints it after the state. */
export function manifestsText(record: ReleaseRecord): string {
  const hooks = (record.hooks ?? [])
    .map(({ path, manifest }) => `---\n# Source: ${path}\n${manifest}\n`)
    .join('')
  return `HOOKS:\n${hooks}MANIFEST:\n${record.manifest}\n`
}

/** A result as Helm prints it for `-o json` (one line, `<>&` escaped) and `-o yaml` (keys in order). */
export function writeValue(value: unknown, output: Output): void {
  if (output.format === 'yaml') output.line(writeYaml(value))
  else
    output.line(
      JSON.stringify(value).replace(
        /[<>&\u2028\u2029]/g,
        (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
      ),
    )
}
