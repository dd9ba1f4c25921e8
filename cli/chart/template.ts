import { randomBytes } from 'node:crypto'
import { Command } from 'commander'
import { BerthError } from '../../engine/base/error.ts'
import { capabilitiesFor } from '../../engine/chart/capabilities.ts'
import { readValueFlags } from '../../engine/chart/host/values.ts'
import { globPattern } from '../../engine/chart/ignore.ts'
import { manifestText, type Rendered, renderChart } from '../../engine/chart/render.ts'
import { list } from '../connect.ts'
import type { Output } from '../output.ts'
import { addValueFlags, type ValueOptions, valueFlags } from './flags.ts'
import { type LocateOptions, locateChart } from './locate.ts'
import { nameAndChart } from './names.ts'
import { withValueSource } from './value-source.ts'

interface TemplateOptions extends ValueOptions, LocateOptions {
  readonly namespace?: string
  readonly showOnly?: string[]
  readonly hooks: boolean
  readonly isUpgrade?: true
  readonly skipTests?: true
  readonly skipSchemaValidation?: true
  readonly kubeVersion?: string
  readonly apiVersions?: string[]
  readonly generateName?: true
}

/** `berth template [NAME] CHART`: what an installation would apply, without one. */
export function command(output: Output): Command {
  const made = new Command('template')
    .description('Render a chart and print its objects')
    .argument('[name]')
    .argument('[chart]')
    .option('-n, --namespace <name>', 'namespace of the release')
    .option('-s, --show-only <template>', 'only the objects of these templates', list)
    .option('--no-hooks', 'without hooks')
    .option('--is-upgrade', 'Release.IsUpgrade instead of Release.IsInstall')
    .option('--skip-tests', 'without test hooks')
    .option('--skip-schema-validation', 'do not hold values against values.schema.json')
    .option('--kube-version <version>', "Kubernetes' version for Capabilities.KubeVersion")
    .option('-a, --api-versions <version>', 'further versions for Capabilities.APIVersions', list)
    .option('-g, --generate-name', 'make a name for the release')
    .option('--version <version>', 'version of a chart from a registry')
    .option('--username <name>', 'for the registry')
    .option('--password <text>', 'for the registry')
    .option('--plain-http', 'speak HTTP to the registry')
    .action(async (first: string | undefined, second: string | undefined, options: TemplateOptions) => {
      const { name, chart: place } = nameAndChart('template', [first, second], options.generateName)
      const chart = await locateChart(place, options, output)
      const values = await readValueFlags(valueFlags(options), output.interruptible())
      const render = () =>
        renderChart(chart, {
          release: {
            name: name ?? 'release-name',
            namespace: options.namespace ?? output.env.HELM_NAMESPACE ?? 'default',
            revision: 1,
            isUpgrade: options.isUpgrade ?? false,
          },
          values,
          skipSchema: options.skipSchemaValidation ?? false,
          capabilities: capabilitiesFor({
            ...(options.kubeVersion === undefined ? {} : { kubeVersion: options.kubeVersion }),
            ...(options.apiVersions
              ? { apiVersions: options.apiVersions.flatMap((one) => one.split(',')) }
              : {}),
          }),
          random: randomBytes,
        })
      const rendered = await withValueSource(chart, options, render)
      for (const warning of rendered.warnings) output.note(`Warning: ${warning}`)
      output.write(select(rendered, options))
    })
  return addValueFlags(made)
}

/** The documents asked for, hooks after the others, as Helm prints them. */
function select(rendered: Rendered, options: TemplateOptions): string {
  const hooks = options.hooks
    ? rendered.hooks
        .filter(({ events }) => !(options.skipTests && events.includes('test')))
        .map(({ path, manifest }) => ({ source: path, text: manifest }))
    : []
  const all = [...rendered.documents, ...hooks]
  if (!options.showOnly) return manifestText(all)
  return options.showOnly
    .map((wanted) => {
      const pattern = globPattern(wanted)
      // A source is CHART/templates/FILE; the flag names it without the chart.
      const found = all.filter(({ source }) => pattern.test(source.slice(source.indexOf('/') + 1)))
      if (found.length === 0)
        throw new BerthError(
          'NOT_FOUND',
          `Cannot print "${wanted}": could not find template ${wanted} in chart`,
        )
      return manifestText(found)
    })
    .join('')
}
