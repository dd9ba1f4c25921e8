import { Command } from 'commander'
import { connect, forEach, withOtherLevel } from '../connect.ts'
import type { Output } from '../output.ts'

export function command(output: Output): Command {
  return new Command('wait')
    .description('Wait until containers stop and print their exit codes')
    .argument('<container...>')
    .action(async (names: string[], flags: { host?: string }) => {
      const client = connect(flags, output)
      const wait = async (name: string) => {
        try {
          const path = `/containers/${encodeURIComponent(name)}/wait`
          const { StatusCode } = await client.json<{ StatusCode: number }>('POST', path)
          return String(StatusCode)
        } catch (error) {
          throw await withOtherLevel(error, { client, verb: 'wait', name })
        }
      }
      await forEach(names, wait, output)
    })
}
