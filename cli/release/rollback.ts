import { Command } from 'commander'
import { BerthError } from '../../engine/base/error.ts'
import type { Output } from '../output.ts'
import { addChangeFlags, type ChangeOptions, changeOptions, namespaceOf, openEngine } from './connect.ts'
import { progressOf } from './progress.ts'

interface RollbackOptions extends ChangeOptions {
  readonly dryRun?: true | string
  readonly quiet?: true
}

/** `berth rollback NAME [REVISION]`. */
export function command(output: Output): Command {
  const made = new Command('rollback')
    .description('Roll a release back to an earlier revision')
    .argument('<name>')
    .argument('[revision]')
    .option('--dry-run [kind]', 'only check')
    .option('--force-conflicts', 'take fields that somebody else changed')
    .option('--history-max <count>', 'revisions that are kept; 0 keeps all', '10')
    .option('-q, --quiet', 'no progress')
    .action(async (name: string, revision: string | undefined, options: RollbackOptions) => {
      if (revision !== undefined && !/^\d+$/.test(revision))
        throw new BerthError('INVALID', `could not convert revision to a number: "${revision}"`)
      await openEngine(options, output).rollback(
        {
          name,
          namespace: namespaceOf(options, output),
          version: Number(revision ?? 0),
          dryRun: options.dryRun !== undefined,
          options: changeOptions(options),
        },
        { signal: output.interruptible(), onProgress: progressOf(output, options.quiet ?? false) },
      )
      output.line('Rollback was a success! Happy Helming!')
    })
  return addChangeFlags(made)
}
