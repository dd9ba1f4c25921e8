import { existsSync } from 'node:fs'
import { BerthError } from '../../engine/base/error.ts'
import type { Chart } from '../../engine/chart/chart.ts'
import type { Output } from '../output.ts'
import type { RegistryOptions } from './registry.ts'

export interface LocateOptions extends RegistryOptions {
  readonly version?: string
}

/** Loads the chart that a command line names: a folder, a packed chart or `oci://HOST/CHART`. */
export async function locateChart(name: string, options: LocateOptions, output: Output): Promise<Chart> {
  const signal = output.interruptible()
  if (name.startsWith('oci://')) {
    const [{ chartRegistry, hostOf }, { loadChartOf }] = await Promise.all([
      import('./registry.ts'),
      import('../../engine/chart/host/registry.ts'),
    ])
    await using client = chartRegistry(options, hostOf(name), output)
    const { version } = options
    return await loadChartOf(
      client,
      { reference: name, ...(version === undefined ? {} : { version }) },
      signal,
    )
  }
  if (!existsSync(name) && /^[A-Za-z0-9_-]+\/[A-Za-z0-9_.-]+$/.test(name))
    throw new BerthError(
      'NOT_FOUND',
      `Cannot find chart "${name}": there is no such folder, and chart repositories are not supported yet`,
      {
        hint: 'name a folder, a .tgz, or oci://HOST/CHART',
      },
    )
  const { loadChartFrom } = await import('../../engine/chart/host/load.ts')
  return loadChartFrom(name, signal)
}
