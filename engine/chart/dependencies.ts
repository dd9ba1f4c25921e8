import { BerthError } from '../base/error.ts'
import type { Chart } from './chart.ts'
import type { ChartMetadata } from './metadata.generated.ts'

/** What a dependency may ask for that berth does not do yet; a chart that uses one is refused by name. */
const notYet = ['condition', 'tags', 'alias', 'import-values'] as const

/** Holds Chart.yaml's dependencies against the charts in `charts/`. */
export function checkDependencies(metadata: ChartMetadata, present: readonly Chart[], file: string): void {
  const declared = metadata.dependencies ?? []
  for (const dependency of declared) {
    const asks = notYet.filter((field) => {
      const value = dependency[field]
      return value !== undefined && value !== '' && !(Array.isArray(value) && value.length === 0)
    })
    if (asks.length > 0)
      throw new BerthError(
        'UNSUPPORTED',
        `Cannot use chart "${metadata.name}": its dependency "${dependency.name}" has ${asks.map((f) => `"${f}"`).join(' and ')}, which berth does not support yet`,
        { where: { file, path: 'dependencies' } },
      )
  }
  const missing = declared
    .filter(({ name }) => !present.some((chart) => chart.metadata.name === name))
    .map(({ name }) => name)
  if (missing.length > 0)
    throw new BerthError(
      'INVALID',
      `Cannot use chart "${metadata.name}": found in Chart.yaml, but missing in charts/ directory: ${missing.join(', ')}`,
      { where: { file, path: 'dependencies' }, hint: 'helm dependency build fetches them into charts/' },
    )
}
