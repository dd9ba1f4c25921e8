import { Command } from 'commander'
import { connect, forEach, withOtherLevel } from '../connect.ts'
import type { Output } from '../output.ts'

type Removed = { readonly Untagged?: string; readonly Deleted?: string }

export function command(output: Output): Command {
  return new Command('rmi')
    .description('Remove one or more images')
    .argument('<image...>')
    .option('-f, --force', 'remove it even if it has several names or a stopped container uses it')
    .option('--no-prune', 'keep untagged parents')
    .action(async (names: string[], flags: { host?: string; force?: true; prune: boolean }) => {
      const client = connect(flags, output)
      const remove = async (name: string) => {
        try {
          const removed = await client.json<Removed[]>('DELETE', `/images/${name}`, {
            query: { force: flags.force, noprune: flags.prune ? undefined : true },
          })
          return removed
            .map((r) => (r.Deleted ? `Deleted: ${r.Deleted}` : `Untagged: ${r.Untagged}`))
            .join('\n')
        } catch (error) {
          throw await withOtherLevel(error, { client, verb: 'rmi', name })
        }
      }
      await forEach(names, remove, output)
    })
}
