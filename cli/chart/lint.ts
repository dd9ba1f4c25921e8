import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { BerthError, isBerthError } from '../../engine/base/error.ts'
import { loadChartFrom } from '../../engine/chart/host/load.ts'
import { readValueFlags } from '../../engine/chart/host/values.ts'
import { renderChart } from '../../engine/chart/render.ts'
import { checkObjects } from '../../engine/template/objects.ts'
import type { Output } from '../output.ts'
import { addValueFlags, type ValueOptions, valueFlags } from './flags.ts'

interface Finding {
  readonly level: 'INFO' | 'WARNING' | 'ERROR'
  readonly text: string
}

interface LintOptions extends ValueOptions {
  readonly namespace?: string
  readonly strict?: true
  readonly quiet?: true
}

/** `berth lint CHART…`: what would keep a chart from being installed, and what its author forgot. */
export function command(output: Output): Command {
  const made = new Command('lint')
    .description('Examine a chart for possible issues')
    .argument('<chart...>')
    .option('-n, --namespace <name>', 'namespace to render for')
    .option('--strict', 'fail on warnings')
    .option('--quiet', 'only warnings and errors')
    .action(async (charts: string[], options: LintOptions) => {
      let failed = 0
      for (const chart of charts) {
        const findings = await lint(chart, options, output)
        const bad = findings.some(({ level }) => level === 'ERROR' || (options.strict && level === 'WARNING'))
        if (bad) failed++
        const shown = findings.filter(({ level }) => !options.quiet || level !== 'INFO')
        if (options.quiet && shown.length === 0) continue
        output.line(`==> Linting ${chart}`)
        for (const { level, text } of shown) output.line(`[${level}] ${text}`)
        output.line()
      }
      const summary = `${charts.length} chart(s) linted, ${failed} chart(s) failed`
      if (failed > 0) throw new BerthError('INVALID', summary)
      if (!options.quiet) output.line(summary)
    })
  return addValueFlags(made)
}

async function lint(path: string, options: LintOptions, output: Output): Promise<Finding[]> {
  const signal = output.interruptible()
  const findings: Finding[] = []
  try {
    const chart = await loadChartFrom(path, signal)
    if (!chart.metadata.icon) findings.push({ level: 'INFO', text: 'Chart.yaml: icon is recommended' })
    const folder = path.replace(/\/+$/, '').split('/').at(-1)
    if (!path.endsWith('.tgz') && !existsSync(join(path, 'values.yaml')))
      findings.push({ level: 'INFO', text: 'values.yaml: file does not exist' })
    if (!path.endsWith('.tgz') && folder !== '.' && folder !== chart.metadata.name)
      findings.push({
        level: 'WARNING',
        text: `Chart.yaml: the folder is "${folder}", the chart "${chart.metadata.name}"`,
      })
    for (const warning of chart.warnings) findings.push({ level: 'WARNING', text: warning })
    const release = {
      name: 'test-release',
      namespace: options.namespace ?? 'default',
      revision: 1,
      isUpgrade: false,
    }
    const values = await readValueFlags(valueFlags(options), signal)
    const rendered = renderChart(chart, { release, values, random: randomBytes })
    checkObjects(rendered.documents, release.namespace)
  } catch (error) {
    if (!isBerthError(error) || error.code === 'INTERRUPTED') throw error
    const { message, hint, details } = error
    const where =
      error.where && `${error.where.file}${error.where.line === undefined ? '' : `:${error.where.line}`}`
    const others = details?.violations
    const lines = Array.isArray(others) && others.length > 1 ? others.map(String) : []
    findings.push({
      level: 'ERROR',
      text: [`${where ? `${where}: ` : ''}${message}${hint ? ` (${hint})` : ''}`, ...lines].join('\n  '),
    })
  }
  return findings
}
