import { Command } from 'commander'
import { connect, forEach, withOtherLevel } from '../connect.ts'
import type { Output } from '../output.ts'

export function command(output: Output): Command {
  return new Command('kill')
    .description('Send a signal to one or more running containers, SIGKILL by default')
    .argument('<container...>')
    .option('-s, --signal <signal>', 'signal to send')
    .action(async (names: string[], flags: { host?: string; signal?: string }) => {
      const client = connect(flags, output)
      const kill = async (name: string) => {
        try {
          await client.json('POST', `/containers/${encodeURIComponent(name)}/kill`, {
            query: { signal: flags.signal },
          })
        } catch (error) {
          throw await withOtherLevel(error, { client, verb: 'kill', name })
        }
        return name
      }
      await forEach(names, kill, output)
    })
}
