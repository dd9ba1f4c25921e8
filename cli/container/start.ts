import { Command } from 'commander'
import { BerthError } from '../../engine/base/error.ts'
import type { ContainerDetails } from '../../engine/client/docker/types.ts'
import { connect, forEach, withOtherLevel } from '../connect.ts'
import type { Output } from '../output.ts'
import { attachAndStart } from './foreground.ts'
import { requireTerminal } from './session.ts'

interface StartFlags {
  readonly host?: string
  readonly attach?: true
  readonly interactive?: true
  readonly detachKeys?: string
  readonly sigProxy: boolean
}

export function command(output: Output): Command {
  return new Command('start')
    .description('Start one or more stopped containers')
    .argument('<container...>')
    .option('-a, --attach', 'attach stdout, stderr and pass signals on')
    .option('-i, --interactive', 'attach stdin')
    .option('--detach-keys <keys>', 'keys that leave the container running')
    .option('--sig-proxy', 'pass received signals to the process', true)
    .option('--no-sig-proxy')
    .action(async (names: string[], flags: StartFlags) => {
      const client = connect(flags, output)
      const failed = (error: unknown, name: string) => withOtherLevel(error, { client, verb: 'start', name })
      if (!flags.attach && !flags.interactive) {
        const start = async (name: string) => {
          try {
            await client.json('POST', `/containers/${encodeURIComponent(name)}/start`)
          } catch (error) {
            throw await failed(error, name)
          }
          return name
        }
        return forEach(names, start, output)
      }
      const [name = '', ...more] = names
      if (more.length > 0) {
        throw new BerthError('USAGE', 'Cannot attach to several containers at once', {
          hint: 'give one name with -a or -i',
        })
      }
      try {
        const found = await client.json<ContainerDetails>(
          'GET',
          `/containers/${encodeURIComponent(name)}/json`,
        )
        const terminal = found.Config.Tty === true
        const stdin = flags.interactive === true && found.Config.OpenStdin === true
        requireTerminal(output, { terminal, stdin })
        output.exitCode = await attachAndStart(
          client,
          {
            id: found.Id,
            terminal,
            stdin,
            autoRemove: found.HostConfig.AutoRemove === true,
            sigProxy: flags.sigProxy,
            detachKeys: flags.detachKeys,
            streams: ['stdin', 'stdout', 'stderr'],
            running: found.State.Running,
          },
          output,
        )
      } catch (error) {
        output.fail(await failed(error, name), 1)
      }
    })
}
