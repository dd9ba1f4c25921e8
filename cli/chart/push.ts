import { readFile } from 'node:fs/promises'
import { Command } from 'commander'
import { BerthError, errnoOf } from '../../engine/base/error.ts'
import { pushChart } from '../../engine/chart/host/registry.ts'
import type { Output } from '../output.ts'
import { chartRegistry, hostOf, type RegistryOptions } from './registry.ts'

/** `berth push CHART.tgz oci://HOST/PATH`: a packed chart into a registry. */
export function command(output: Output): Command {
  return new Command('push')
    .description('Push a packed chart to a registry')
    .argument('<chart>', 'a .tgz')
    .argument('<remote>', 'oci://HOST/PATH')
    .option('--username <name>', 'for the registry')
    .option('--password <text>', 'for the registry')
    .option('--plain-http', 'speak HTTP to the registry')
    .action(async (path: string, target: string, options: RegistryOptions) => {
      const archive = await readFile(path).catch((error: unknown) => {
        const code = errnoOf(error)
        throw new BerthError(
          'NOT_FOUND',
          `Cannot push "${path}": ${code === 'EISDIR' ? 'it is a folder' : 'there is no such file'}`,
          {
            hint:
              code === 'EISDIR' ? `berth package ${path} packs it` : 'berth push CHART.tgz oci://HOST/PATH',
            cause: error,
          },
        )
      })
      const provenance = await readFile(`${path}.prov`).catch(() => undefined)
      await using client = chartRegistry(options, hostOf(target), output)
      const pushed = await pushChart(
        client,
        { archive, target, ...(provenance ? { provenance } : {}) },
        output.interruptible(),
      )
      output.line(`Pushed: ${pushed.reference}`)
      output.line(`Digest: ${pushed.digest}`)
    })
}
