import { Command } from 'commander'
import { BerthError } from '../../engine/base/error.ts'
import type { Output } from '../output.ts'
import { addReleaseFlags, namespaceOf, openEngine, type ReleaseOptions } from './connect.ts'
import { ansiTime, chartOf, goJsonTime, helmTable, writeValue } from './present.ts'

/** `berth history NAME`: the revisions of a release. */
export function command(output: Output): Command {
  const made = new Command('history')
    .alias('hist')
    .description('List the revisions of a release')
    .argument('<name>')
    .option('--max <count>', 'at most so many', '256')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (name: string, options: ReleaseOptions & { max: string; output?: string }) => {
      const namespace = namespaceOf(options, output)
      const records = await openEngine(options, output).records.list(
        { namespace, release: name },
        output.interruptible(),
      )
      if (records.length === 0)
        throw new BerthError(
          'NOT_FOUND',
          `Cannot find release "${name}" in namespace "${namespace}": release: not found`,
          {
            hint: 'an image has its layers under berth image history; berth list -A shows all releases',
          },
        )
      const shown = records.slice(-Number(options.max)).map(({ record }) => ({
        revision: record.version,
        updated: goJsonTime(record.info.last_deployed),
        status: record.info.status,
        chart: chartOf(record),
        app_version: record.chart.metadata.appVersion ?? '',
        description: record.info.description,
      }))
      if (output.format === 'json' || output.format === 'yaml') return writeValue(shown, output)
      const rows = shown.map((one) => [
        String(one.revision),
        ansiTime(one.updated),
        one.status,
        one.chart,
        one.app_version,
        one.description,
      ])
      output.write(
        helmTable([['REVISION', 'UPDATED', 'STATUS', 'CHART', 'APP VERSION', 'DESCRIPTION'], ...rows]),
      )
    })
  return addReleaseFlags(made)
}
