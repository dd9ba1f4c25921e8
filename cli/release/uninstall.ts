import { Command } from 'commander'
import type { Output } from '../output.ts'
import { addChangeFlags, type ChangeOptions, changeOptions, namespaceOf } from './connect.ts'
import { perform } from './perform.ts'

interface UninstallOptions extends ChangeOptions {
  readonly ignoreNotFound?: true
  readonly dryRun?: true
  readonly quiet?: true
}

/** `berth uninstall NAME…`. */
export function command(output: Output): Command {
  const made = new Command('uninstall')
    .alias('delete')
    .description('Uninstall releases')
    .argument('<name...>')
    .option('--keep-history', 'keep the records, so that it can be rolled back')
    .option('--ignore-not-found', 'a release that is not there is no error')
    .option('--dry-run', 'only tell what would go')
    .option(
      '--cascade <how>',
      'what becomes of pods: background, foreground, or orphan, which leaves them',
      'background',
    )
    .option('-q, --quiet', 'no progress')
    .action(async (names: string[], options: UninstallOptions) => {
      const namespace = namespaceOf(options, output)
      for (const name of names) {
        const ignoreNotFound = options.ignoreNotFound ?? false
        const request = {
          name,
          namespace,
          ignoreNotFound,
          dryRun: options.dryRun ?? false,
          options: changeOptions(options),
        }
        const { kept } = await perform(
          {
            command: 'uninstall',
            request,
            spec: async () => ({ command: 'uninstall', ignoreNotFound }),
            direct: (engine, run) => engine.uninstall(request, run),
          },
          options,
          output,
        )
        if (kept.length > 0) {
          output.line('These resources were kept due to the resource policy:')
          for (const { kind, name: object } of kept) output.line(`[${kind}] ${object}`)
          output.line()
        }
        for (const { kind, name: claim } of kept)
          if (kind === 'PersistentVolumeClaim' && options.kubeApiserver === undefined)
            output.note(
              `volume ${namespace}_${claim} was kept: berth volume rm ${namespace}_${claim} removes it`,
            )
        output.line(`release "${name}" uninstalled`)
      }
    })
  return addChangeFlags(made, 'until everything is gone, pods and their containers too')
}
