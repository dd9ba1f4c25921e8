import { Command } from 'commander'
import { BerthError } from '../../engine/base/error.ts'
import { readValueFlags } from '../../engine/chart/host/values.ts'
import type { ReleaseRecord } from '../../engine/release/record.ts'
import type { InstallRequest } from '../../engine/release/requests.ts'
import { addValueFlags, type ValueOptions, valueFlags } from '../chart/flags.ts'
import { type LocateOptions, locateChart } from '../chart/locate.ts'
import { nameAndChart } from '../chart/names.ts'
import { withValueSource } from '../chart/value-source.ts'
import type { Output } from '../output.ts'
import { addChangeFlags, type ChangeOptions, changeOptions, namespaceOf } from './connect.ts'
import { chartSpec, perform } from './perform.ts'
import { manifestsText, releaseText, writeValue } from './present.ts'

/** Flags of install and upgrade, as commander names them. */
export interface MakeOptions extends ValueOptions, LocateOptions, ChangeOptions {
  readonly createNamespace?: true
  readonly takeOwnership?: true
  readonly skipSchemaValidation?: true
  readonly dryRun?: true | string
  readonly labels?: string
  readonly generateName?: true
  readonly nameTemplate?: string
  readonly hideNotes?: true
  readonly output?: string
  readonly quiet?: true
}

/** Adds the flags that install and upgrade share. */
export function addMakeFlags(command: Command): Command {
  return addValueFlags(
    addChangeFlags(command)
      .option('--create-namespace', 'make the namespace when it is missing')
      .option('--dry-run [kind]', 'print what would be applied: client, or server, which asks the API too')
      .option('--rollback-on-failure', 'undo what failed; implies --wait')
      .option('--atomic', 'the same, by its old name')
      .option('--force-conflicts', 'take fields that somebody else changed')
      .option('--take-ownership', 'take objects that are there already')
      .option('--skip-schema-validation', 'do not hold values against values.schema.json')
      .option('-l, --labels <labels>', 'labels of the record: key1=val1,key2=val2')
      .option('--version <version>', 'version of a chart from a registry')
      .option('--username <name>', 'for the registry')
      .option('--password <text>', 'for the registry')
      .option('--plain-http', 'speak HTTP to the registry')
      .option('--hide-notes', "do not print the chart's notes")
      .option('-q, --quiet', 'no progress')
      .option('-o, --output <format>', 'table, json or yaml'),
  )
}

/** What the flags of install and upgrade ask of the engine. */
export async function makeRequest(
  name: string,
  place: string,
  options: MakeOptions & { atomic?: true },
  output: Output,
): Promise<InstallRequest> {
  const dryRun =
    options.dryRun === undefined ? undefined : options.dryRun === true ? 'client' : options.dryRun
  if (dryRun !== undefined && !['client', 'server', 'none'].includes(dryRun))
    throw new BerthError('USAGE', `--dry-run is "${dryRun}", should be client, server or none`)
  const rollback = options.rollbackOnFailure ?? options.atomic
  return {
    name,
    namespace: namespaceOf(options, output),
    chart: await locateChart(place, options, output),
    values: await readValueFlags(valueFlags(options), output.interruptible()),
    createNamespace: options.createNamespace ?? false,
    takeOwnership: options.takeOwnership ?? false,
    skipSchema: options.skipSchemaValidation ?? false,
    ...(dryRun === 'client' || dryRun === 'server' ? { dryRun } : {}),
    labels: Object.fromEntries(
      (options.labels ?? '')
        .split(',')
        .filter(Boolean)
        .map((one) => one.split('=', 2) as [string, string]),
    ),
    options: changeOptions({ ...options, ...(rollback ? { rollbackOnFailure: rollback } : {}) }),
  }
}

/** `berth install [NAME] CHART`. */
export function command(output: Output): Command {
  const made = new Command('install')
    .description('Install a chart')
    .argument('[name]')
    .argument('[chart]')
    .option('-g, --generate-name', 'make a name for the release')
    .option('--name-template <text>', 'the name of the release')
    .action(async (first: string | undefined, second: string | undefined, options: MakeOptions) => {
      const generate = options.generateName ?? options.nameTemplate !== undefined
      const { name: given, chart } = nameAndChart('install', [first, second], generate)
      const name = options.nameTemplate === undefined ? given : plainName(options.nameTemplate)
      if (name === undefined)
        throw new BerthError('INVALID', 'must either provide a name or specify --generate-name', {
          hint: `berth install NAME ${chart}`,
        })
      const request = await makeRequest(name, chart, options, output)
      const work = () =>
        perform(
          {
            command: 'install',
            request,
            spec: async () => ({ command: 'install', ...(await chartSpec(request)) }),
            direct: async (engine, run) => ({ record: await engine.install(request, run), kept: [] }),
          },
          options,
          output,
        )
      const { record } = await withValueSource(request.chart, options, work)
      const notes = options.hideNotes !== true
      if (record) print(record, { dryRun: request.dryRun !== undefined, notes }, output)
    })
  return addMakeFlags(made)
}

/** A name template without anything to fill in; Go's templates are not rendered yet. */
function plainName(template: string): string {
  if (!template.includes('{{')) return template
  throw new BerthError(
    'UNSUPPORTED',
    `Cannot make a name from "${template}": Go templates are not supported yet`,
    {
      hint: 'give a name, or --generate-name',
    },
  )
}

/** Prints what install and upgrade made, as Helm does. */
export function print(
  record: ReleaseRecord,
  { dryRun, notes }: { dryRun: boolean; notes: boolean },
  output: Output,
): void {
  if (output.format === 'json' || output.format === 'yaml') writeValue(record, output)
  else
    output.write(`${releaseText(record, { notes: notes && !dryRun })}${dryRun ? manifestsText(record) : ''}`)
}
