import { Command } from 'commander'
import { BerthError } from '../../engine/base/error.ts'
import type { ReleaseRecord, Status } from '../../engine/release/record.ts'
import type { Output } from '../output.ts'
import { addReleaseFlags, namespaceOf, openEngine, type ReleaseOptions } from './connect.ts'
import { chartOf, goTime, helmTable, writeValue } from './present.ts'

interface ListOptions extends ReleaseOptions {
  readonly allNamespaces?: true
  readonly deployed?: true
  readonly failed?: true
  readonly pending?: true
  readonly superseded?: true
  readonly uninstalled?: true
  readonly uninstalling?: true
  readonly filter?: string
  readonly date?: true
  readonly reverse?: true
  readonly short?: true
  readonly selector?: string
  readonly headers: boolean
  readonly max: string
  readonly offset: string
}

/** The flags that choose by status; without any all are shown. */
const chosen: readonly (readonly [keyof ListOptions, readonly Status[]])[] = [
  ['deployed', ['deployed']],
  ['failed', ['failed']],
  ['pending', ['pending-install', 'pending-upgrade', 'pending-rollback']],
  ['superseded', ['superseded']],
  ['uninstalled', ['uninstalled']],
  ['uninstalling', ['uninstalling']],
]

/** `berth list`: the last revision of each release. */
export function command(output: Output): Command {
  const made = new Command('list')
    .alias('ls')
    .description('List releases')
    .option('-A, --all-namespaces', 'of all namespaces')
    .option('--deployed', 'only deployed ones')
    .option('--failed', 'only failed ones')
    .option('--pending', 'only pending ones')
    .option('--superseded', 'only superseded ones')
    .option('--uninstalled', 'only uninstalled ones whose history was kept')
    .option('--uninstalling', 'only those that are being uninstalled')
    .option('-f, --filter <pattern>', 'only names that match')
    .option('-d, --date', 'sort by date')
    .option('-r, --reverse', 'the other way round')
    .option('-q, --short', 'only names')
    .option('-m, --max <count>', 'at most so many; 0 for all', '256')
    .option('--offset <count>', 'leave out so many', '0')
    .option('-l, --selector <labels>', 'only those whose record has these labels: key1=value1,key2=value2')
    .option('--no-headers', 'no heading above the table')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (options: ListOptions) => {
      const scope = options.allNamespaces ? {} : { namespace: namespaceOf(options, output) }
      const records = await openEngine(options, output).records.list(scope, output.interruptible())
      const meets = selectorOf(options.selector)
      const chosenRecords = records.filter(({ labels }) => meets(labels)).map(({ record }) => record)
      const shown = select(chosenRecords, options)
      const structured = output.format === 'json' || output.format === 'yaml'
      if (options.short) {
        const names = shown.map(({ name }) => name)
        if (structured) return writeValue(names, output)
        for (const { name } of shown) output.line(name)
        return
      }
      const rows = shown.map((record) => ({
        name: record.name,
        namespace: record.namespace,
        revision: String(record.version),
        updated: goTime(record.info.last_deployed),
        status: record.info.status,
        chart: chartOf(record),
        app_version: record.chart.metadata.appVersion ?? '',
      }))
      if (structured) return writeValue(rows, output)
      const head = ['NAME', 'NAMESPACE', 'REVISION', 'UPDATED', 'STATUS', 'CHART', 'APP VERSION']
      const cells = rows.map((row) => Object.values(row))
      output.write(helmTable(options.headers ? [head, ...cells] : cells))
    })
  return addReleaseFlags(made)
}

function patternOf(text: string): RegExp {
  try {
    return new RegExp(text)
  } catch (error) {
    throw new BerthError('USAGE', `Cannot read "${text}" of --filter as a regular expression`, {
      cause: error,
    })
  }
}

/** `KEY=VALUE`, `KEY==VALUE`, `KEY!=VALUE`, with commas between: whether labels meet them all. */
function selectorOf(text = ''): (labels: Readonly<Record<string, string>>) => boolean {
  const wanted = text
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      const [, key = '', operator = '', value = ''] = /^\s*([^=!\s]+)\s*(==?|!=)\s*(\S*)\s*$/.exec(part) ?? []
      if (operator === '')
        throw new BerthError('USAGE', `Cannot read "${part}" of --selector, should be KEY=VALUE`)
      return { key, isEqual: operator !== '!=', value }
    })
  return (labels) => wanted.every(({ key, isEqual, value }) => (labels[key] === value) === isEqual)
}

/** The newest revision of each release, chosen, sorted and cut as the flags say. */
function select(records: readonly ReleaseRecord[], options: ListOptions): ReleaseRecord[] {
  const statuses = chosen.filter(([flag]) => options[flag]).flatMap(([, some]) => some)
  // A superseded revision is never the newest: whoever asks for those alone sees all of them, as with Helm.
  const all = statuses.length === 1 && statuses[0] === 'superseded'
  const newest = new Map<string, ReleaseRecord>()
  for (const record of records) {
    const key = `${record.namespace}/${record.name}${all ? `/${record.version}` : ''}`
    if ((newest.get(key)?.version ?? 0) < record.version) newest.set(key, record)
  }
  const pattern = options.filter === undefined ? undefined : patternOf(options.filter)
  const key = (record: ReleaseRecord) => (options.date ? record.info.last_deployed : record.name)
  const sorted = [...newest.values()]
    .filter(({ info }) => statuses.length === 0 || statuses.includes(info.status))
    .filter(({ name }) => pattern === undefined || pattern.test(name))
    .sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0))
  if (options.reverse) sorted.reverse()
  const offset = Number(options.offset)
  const max = Number(options.max)
  return sorted.slice(offset, max > 0 ? offset + max : undefined)
}
