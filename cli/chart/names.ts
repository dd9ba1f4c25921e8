import { BerthError } from '../../engine/base/error.ts'

/** `[NAME] CHART` of Helm's install and template: one word is the chart. */
export function nameAndChart(
  verb: string,
  words: readonly (string | undefined)[],
  generateName: boolean | undefined,
): { name: string | undefined; chart: string } {
  const [first, second] = words
  if (first === undefined)
    throw new BerthError('USAGE', `"berth ${verb}" requires at least 1 argument`, {
      hint: `berth ${verb} NAME CHART`,
    })
  if (second === undefined) return { name: generateName ? generatedName(first) : undefined, chart: first }
  if (generateName)
    throw new BerthError('USAGE', 'Cannot set --generate-name and also specify a name', {
      hint: `berth ${verb} --generate-name CHART`,
    })
  return { name: first, chart: second }
}

/** `CHART-SECONDS`, as Helm makes names. */
function generatedName(chart: string): string {
  const base = chart
    .replace(/\/+$/, '')
    .split('/')
    .at(-1)
    ?.replace(/[:@].*$/, '')
    .replace(/-\d[^/]*\.tgz$/, '')
    .replace(/\.tgz$/, '')
  return `${base || 'chart'}-${Math.floor(Date.now() / 1000)}`
}
