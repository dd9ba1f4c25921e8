import { Command } from 'commander'
import { type ReleaseRecord, recordName } from '../../engine/release/record.ts'
import type { Output } from '../output.ts'
import { addReleaseFlags, apiClient, openEngine, type ReleaseOptions } from './connect.ts'
import { findRecord } from './find.ts'
import { writeValue } from './present.ts'

interface MetadataOptions extends ReleaseOptions {
  readonly revision?: string
  readonly output?: string
}

interface Dependency {
  readonly name: string
}

type Labels = Readonly<Record<string, string>>

/** `berth get metadata NAME`: the facts of a release, those of its record's labels too. */
export function metadataCommand(output: Output): Command {
  const made = new Command('metadata')
    .description('Print the facts of a release')
    .argument('<name>')
    .option('--revision <number>', 'of this revision')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (name: string, options: MetadataOptions) => {
      const record = await findRecord(openEngine(options, output), name, options, output)
      const secret = await apiClient(options, output).get(
        {
          apiVersion: 'v1',
          kind: 'Secret',
          namespace: record.namespace,
          name: recordName(name, record.version),
        },
        output.interruptible(),
      )
      const labels: Labels = secret.metadata.labels ?? {}
      if (output.format === 'json' || output.format === 'yaml') writeValue(metadataOf(record, labels), output)
      else output.write(metadataText(record, labels))
    })
  return addReleaseFlags(made)
}

/** As Helm's `-o json` has it: what is empty is left out. */
export function metadataOf(
  { name, chart, namespace, version, info, apply_method }: ReleaseRecord,
  labels: Labels,
) {
  const {
    annotations = {},
    dependencies = [],
    appVersion = '',
  } = chart.metadata as {
    readonly annotations?: Labels
    readonly dependencies?: readonly Dependency[]
    readonly appVersion?: string
  }
  return {
    name,
    chart: chart.metadata.name,
    version: chart.metadata.version,
    appVersion,
    ...(Object.keys(annotations).length === 0 ? {} : { annotations: sorted(annotations) }),
    ...(Object.keys(labels).length === 0 ? {} : { labels: sorted(labels) }),
    ...(dependencies.length === 0 ? {} : { dependencies }),
    namespace,
    revision: version,
    status: info.status,
    deployedAt: info.last_deployed.replace(/\.\d+/, ''),
    ...(apply_method ? { applyMethod: apply_method } : {}),
  }
}

const methods: Labels = { ssa: 'server-side apply', csa: 'client-side apply' }

/** As Helm prints it. */
export function metadataText(record: ReleaseRecord, labels: Labels): string {
  const { annotations = {}, dependencies = [], applyMethod, ...rest } = metadataOf(record, labels)
  const listed = (map: Labels) =>
    Object.entries(sorted(map))
      .map((pair) => pair.join('='))
      .join(',')
  return [
    `NAME: ${rest.name}`,
    `CHART: ${rest.chart}`,
    `VERSION: ${rest.version}`,
    `APP_VERSION: ${rest.appVersion}`,
    `ANNOTATIONS: ${listed(annotations)}`,
    `LABELS: ${listed(labels)}`,
    `DEPENDENCIES: ${dependencies.map(({ name }) => name).join(',')}`,
    `NAMESPACE: ${rest.namespace}`,
    `REVISION: ${rest.revision}`,
    `STATUS: ${rest.status}`,
    `DEPLOYED_AT: ${rest.deployedAt}`,
    `APPLY_METHOD: ${methods[applyMethod ?? ''] ?? 'client-side apply (defaulted)'}`,
    '',
  ].join('\n')
}

function sorted(map: Labels): Labels {
  return Object.fromEntries(Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
