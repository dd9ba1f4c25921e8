import { Command } from 'commander'
import { connect, forEach, withOtherLevel } from '../connect.ts'
import type { Output } from '../output.ts'

export function command(output: Output): Command {
  return new Command('stop')
    .description('Stop one or more running containers')
    .argument('<container...>')
    .option('-t, --time <seconds>', 'seconds to wait before killing the container')
    .option('--timeout <seconds>', 'the same as --time')
    .option('-s, --signal <signal>', 'signal to send')
    .action(
      async (names: string[], flags: { host?: string; time?: string; timeout?: string; signal?: string }) => {
        const client = connect(flags, output)
        const stop = async (name: string) => {
          try {
            await client.json('POST', `/containers/${encodeURIComponent(name)}/stop`, {
              query: { t: flags.timeout ?? flags.time, signal: flags.signal },
            })
          } catch (error) {
            throw await withOtherLevel(error, { client, verb: 'stop', name })
          }
          return name
        }
        await forEach(names, stop, output)
      },
    )
}
