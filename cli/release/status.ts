import { Command } from 'commander'
import type { Output } from '../output.ts'
import { addReleaseFlags, openEngine, type ReleaseOptions } from './connect.ts'
import { findRecord } from './find.ts'
import { releaseText, writeValue } from './present.ts'

/** `berth status NAME`: the state of a release, as Helm prints it. */
export function command(output: Output): Command {
  const made = new Command('status')
    .description('Print the state of a release')
    .argument('<name>')
    .option('--revision <number>', 'of this revision')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (name: string, options: ReleaseOptions & { revision?: string; output?: string }) => {
      const record = await findRecord(openEngine(options, output), name, options, output)
      if (output.format === 'json' || output.format === 'yaml') writeValue(record, output)
      else output.write(releaseText(record))
    })
  return addReleaseFlags(made)
}
