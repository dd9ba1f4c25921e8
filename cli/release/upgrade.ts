import { Command } from 'commander'
import type { ValuesMode } from '../../engine/release/requests.ts'
import { withValueSource } from '../chart/value-source.ts'
import type { Output } from '../output.ts'
import { openEngine } from './connect.ts'
import { addMakeFlags, type MakeOptions, makeRequest, print } from './install.ts'
import { chartSpec, perform } from './perform.ts'

interface UpgradeOptions extends MakeOptions {
  readonly install?: true
  readonly reuseValues?: true
  readonly resetValues?: true
  readonly resetThenReuseValues?: true
}

/** `berth upgrade NAME CHART`. */
export function command(output: Output): Command {
  const made = new Command('upgrade')
    .description('Upgrade a release')
    .argument('<name>')
    .argument('<chart>')
    .option('-i, --install', 'install the release when there is none')
    .option('--reuse-values', "keep the last release's values and merge what is given")
    .option('--reset-values', "begin from the chart's values")
    .option(
      '--reset-then-reuse-values',
      "begin from the chart's values, then the last release's, then what is given",
    )
    .option('--history-max <count>', 'revisions that are kept; 0 keeps all', '10')
    .action(async (name: string, chart: string, options: UpgradeOptions) => {
      const engine = openEngine(options, output)
      const request = await makeRequest(name, chart, options, output)
      const before = (
        await engine.records.list({ namespace: request.namespace, release: name }, output.interruptible())
      ).at(-1)
      const status = before?.record.info.status
      const installs = options.install === true && (status === undefined || status === 'uninstalled')
      if (installs && output.format !== 'json' && output.format !== 'yaml')
        output.line(`Release "${name}" does not exist. Installing it now.`)
      const mode = { install: options.install ?? false, valuesMode: modeOf(options) }
      const work = () =>
        perform(
          {
            command: 'upgrade',
            request,
            spec: async () => ({ command: 'upgrade', ...(await chartSpec(request)), ...mode }),
            direct: async (direct, run) => ({
              record: await direct.upgrade({ ...request, ...mode }, run),
              kept: [],
            }),
          },
          options,
          output,
        )
      const { record } = await withValueSource(request.chart, options, work)
      const isText = output.format !== 'json' && output.format !== 'yaml'
      if (isText && !installs && !request.dryRun)
        output.line(`Release "${name}" has been upgraded. Happy Helming!`)
      if (record)
        print(record, { dryRun: request.dryRun !== undefined, notes: options.hideNotes !== true }, output)
    })
  return addMakeFlags(made)
}

function modeOf(options: UpgradeOptions): ValuesMode {
  if (options.resetThenReuseValues) return 'reset-then-reuse'
  if (options.resetValues) return 'reset'
  return options.reuseValues ? 'reuse' : 'default'
}
