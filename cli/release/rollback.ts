import { Command } from 'commander'
import { BerthError } from '../../engine/base/error.ts'
import type { Output } from '../output.ts'
import { addChangeFlags, type ChangeOptions, changeOptions, namespaceOf } from './connect.ts'
import { perform } from './perform.ts'

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
      const version = Number(revision ?? 0)
      const dryRun = options.dryRun !== undefined
      const request = {
        name,
        namespace: namespaceOf(options, output),
        version,
        dryRun,
        options: changeOptions(options),
      }
      await perform(
        {
          command: 'rollback',
          request,
          spec: async () => ({ command: 'rollback', revision: version }),
          direct: async (engine, run) => ({ record: await engine.rollback(request, run), kept: [] }),
        },
        options,
        output,
      )
      output.line('Rollback was a success! Happy Helming!')
    })
  return addChangeFlags(made)
}
