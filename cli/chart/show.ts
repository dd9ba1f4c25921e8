import { Command } from 'commander'
import { type Chart, fileText } from '../../engine/chart/chart.ts'
import { chartYaml } from '../../engine/chart/pack.ts'
import type { Output } from '../output.ts'
import { type LocateOptions, locateChart } from './locate.ts'

/** What each `berth show PART` prints; parts of a chart that are missing print nothing. */
const parts: Readonly<Record<string, { about: string; print: (chart: Chart) => string }>> = {
  all: { about: 'all that the others print', print: all },
  chart: { about: 'Chart.yaml', print: (chart) => `${chartYaml(chart)}\n` },
  values: { about: 'values.yaml', print: (chart) => line(fileText(chart.raw, 'values.yaml')) },
  readme: { about: 'the README', print: (chart) => line(readme(chart)) },
  crds: { about: 'custom resource definitions', print: (chart) => crds(chart) },
}

/** `berth show chart|values|readme|crds|all CHART`. */
export function command(output: Output): Command {
  const show = new Command('show').description('Print what a chart says of itself')
  for (const [name, { about, print }] of Object.entries(parts))
    show.addCommand(
      new Command(name)
        .description(`Print ${about}`)
        .argument('<chart>')
        .option('--version <version>', 'version of a chart from a registry')
        .option('--username <name>', 'for the registry')
        .option('--password <text>', 'for the registry')
        .option('--plain-http', 'speak HTTP to the registry')
        .action(async (chart: string, options: LocateOptions) => {
          output.write(print(await locateChart(chart, options, output)))
        }),
    )
  return show
}

function line(text: string | undefined): string {
  return text === undefined ? '' : `${text}\n`
}

function readme(chart: Chart): string | undefined {
  const file = chart.files.find(({ name }) => /^readme(\.md|\.txt)?$/i.test(name))
  return file && Buffer.from(file.content).toString()
}

function crds(chart: Chart): string {
  return chart.files
    .filter(({ name }) => name.startsWith('crds/'))
    .map(({ content }) => {
      const text = Buffer.from(content).toString()
      return `${text.startsWith('---') ? '' : '---\n'}${text}\n`
    })
    .join('')
}

function all(chart: Chart): string {
  const sections = [fileText(chart.raw, 'values.yaml'), readme(chart)]
    .filter((text) => text !== undefined)
    .map((text) => `---\n${text}\n`)
  return [`${chartYaml(chart)}\n`, ...sections, crds(chart)].join('')
}
