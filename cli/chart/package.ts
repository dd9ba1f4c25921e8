import { join, resolve } from 'node:path'
import { Command } from 'commander'
import { ensureFolder, writeFileAtomic } from '../../engine/base/host/files.ts'
import type { Chart } from '../../engine/chart/chart.ts'
import { loadChartFrom } from '../../engine/chart/host/load.ts'
import { archiveName, packChart } from '../../engine/chart/pack.ts'
import type { Output } from '../output.ts'

interface PackageOptions {
  readonly destination: string
  readonly version?: string
  readonly appVersion?: string
}

/** `berth package CHART…`: a chart as one file that Helm takes too. */
export function command(output: Output): Command {
  return new Command('package')
    .description('Pack a chart folder into a chart archive')
    .argument('<chart...>')
    .option('-d, --destination <folder>', 'where to write the archive', '.')
    .option('--version <version>', "instead of the chart's version")
    .option('--app-version <version>', "instead of the chart's appVersion")
    .action(async (charts: string[], options: PackageOptions) => {
      for (const path of charts) {
        const chart = withVersions(await loadChartFrom(path, output.interruptible()), options)
        const file = join(resolve(options.destination), archiveName(chart))
        await ensureFolder(resolve(options.destination), 0o755)
        await writeFileAtomic(file, await packChart(chart), 0o644)
        output.line(`Successfully packaged chart and saved it to: ${file}`)
      }
    })
}

function withVersions(chart: Chart, { version, appVersion }: PackageOptions): Chart {
  return {
    ...chart,
    metadata: {
      ...chart.metadata,
      ...(version === undefined ? {} : { version }),
      ...(appVersion === undefined ? {} : { appVersion }),
    },
  }
}
