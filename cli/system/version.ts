import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { packageRoot } from '../../engine/base/host/entry.ts'
import type { Output } from '../output.ts'

/** Set by the bundler. */
declare const BERTH_VERSION: string | undefined

/** berth's version: the bundle knows it, the sources read it from package.json. */
export function berthVersion(): string {
  if (typeof BERTH_VERSION === 'string') return BERTH_VERSION
  return JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')).version
}

/** `berth version`: berth's own, in helm's forms; `--short` is the bare number. */
export function command(output: Output): Command {
  return new Command('version')
    .description("Print berth's version")
    .option('--short', 'only the number')
    .option('-o, --output <format>', 'json or yaml')
    .action(async (options: { short?: true; output?: string }) => {
      const version = berthVersion()
      if (options.output)
        await output.value({ version, node: process.versions.node, platform: `linux/${process.arch}` })
      else
        output.line(
          options.short ? version : `berth ${version} (Node ${process.versions.node}, linux/${process.arch})`,
        )
    })
}
