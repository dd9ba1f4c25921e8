import { Command } from 'commander'
import { connect, forEach, withOtherLevel } from '../connect.ts'
import type { Output } from '../output.ts'

export function command(output: Output): Command {
  return new Command('rm')
    .description('Remove one or more containers')
    .argument('<container...>')
    .option('-f, --force', 'kill a running container first')
    .option('-v, --volumes', 'remove its anonymous volumes too')
    .action(async (names: string[], flags: { host?: string; force?: true; volumes?: true }) => {
      const client = connect(flags, output)
      const remove = async (name: string) => {
        try {
          await client.json('DELETE', `/containers/${encodeURIComponent(name)}`, {
            query: { force: flags.force, v: flags.volumes },
          })
        } catch (error) {
          throw await withOtherLevel(error, { client, verb: 'rm', name })
        }
        return name
      }
      await forEach(names, remove, output)
    })
}
