import { Command } from 'commander'
import { coalesceValues } from '../../engine/chart/values.ts'
import type { ReleaseRecord } from '../../engine/release/record.ts'
import { writeYaml } from '../../engine/template/yaml.ts'
import type { Output } from '../output.ts'
import { addReleaseFlags, openEngine, type ReleaseOptions } from './connect.ts'
import { findRecord } from './find.ts'
import { metadataCommand } from './get-metadata.ts'
import { manifestsText, releaseText, writeValue } from './present.ts'

interface GetOptions extends ReleaseOptions {
  readonly revision?: string
  readonly all?: true
  readonly output?: string
}

interface Part {
  readonly about: string
  /** What `-o json` gives, for parts that are values. */
  readonly value?: (record: ReleaseRecord, options: GetOptions) => unknown
  readonly text: (record: ReleaseRecord, options: GetOptions) => string
}

const parts: Readonly<Record<string, Part>> = {
  values: {
    about: 'the values of a release',
    value: (record, { all }) => (all ? computed(record) : (record.config ?? null)),
    text: (record, { all }) =>
      `${all ? 'COMPUTED' : 'USER-SUPPLIED'} VALUES:\n${writeYaml(all ? computed(record) : (record.config ?? null))}\n`,
  },
  manifest: { about: 'the objects of a release', text: ({ manifest }) => `${manifest}\n` },
  notes: {
    about: 'the notes of a release',
    text: ({ info }) => (info.notes ? `NOTES:\n${info.notes}\n` : ''),
  },
  hooks: {
    about: 'the hooks of a release',
    text: ({ hooks }) =>
      (hooks ?? []).map(({ path, manifest }) => `---\n# Source: ${path}\n${manifest}\n`).join(''),
  },
  all: { about: 'all of a release', text: all },
}

/** `berth get values|manifest|notes|hooks|metadata|all NAME`. */
export function command(output: Output): Command {
  const get = new Command('get').description('Print parts of a release')
  for (const [name, part] of Object.entries(parts)) {
    const made = new Command(name)
      .description(`Print ${part.about}`)
      .argument('<name>')
      .option('--revision <number>', 'of this revision')
    if (name === 'values') made.option('-a, --all', "with the chart's own")
    if (part.value) made.option('-o, --output <format>', 'table, json or yaml')
    made.action(async (release: string, options: GetOptions) => {
      const record = await findRecord(openEngine(options, output), release, options, output)
      const structured = output.format === 'json' || output.format === 'yaml'
      if (part.value && structured) writeValue(part.value(record, options), output)
      else output.write(part.text(record, options))
    })
    get.addCommand(addReleaseFlags(made))
  }
  get.addCommand(metadataCommand(output))
  return get
}

/** The values that the templates saw; sub-charts' own are not in the record. */
function computed({ chart, config }: ReleaseRecord) {
  const bare = {
    metadata: { ...chart.metadata, apiVersion: 'v2' as const },
    lock: null,
    raw: [],
    templates: [],
    files: [],
  }
  return coalesceValues(
    { ...bare, values: chart.values ?? {}, dependencies: [], origin: chart.metadata.name, warnings: [] },
    config ?? {},
  )
}

function all(record: ReleaseRecord): string {
  return [
    releaseText(record, { notes: false, withChart: true }),
    `USER-SUPPLIED VALUES:\n${writeYaml(record.config ?? null)}\n\n`,
    `COMPUTED VALUES:\n${writeYaml(computed(record))}\n\n`,
    manifestsText(record),
    record.info.notes ? `NOTES:\n${record.info.notes}` : '',
  ].join('')
}
