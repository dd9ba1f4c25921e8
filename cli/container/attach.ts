import { Command } from 'commander'
import { BerthError } from '../../engine/base/error.ts'
import type { ContainerDetails } from '../../engine/client/docker/types.ts'
import { connect, withOtherLevel } from '../connect.ts'
import type { Output } from '../output.ts'
import { attachAndStart } from './foreground.ts'
import { requireTerminal } from './session.ts'

interface AttachFlags {
  readonly host?: string
  readonly stdin: boolean
  readonly detachKeys?: string
  readonly sigProxy: boolean
}

export function command(output: Output): Command {
  return new Command('attach')
    .description('Join the input and output of a running container')
    .argument('<container>')
    .option('--no-stdin', 'do not attach stdin')
    .option('--detach-keys <keys>', 'keys that leave the container running')
    .option('--sig-proxy', 'pass received signals to the process', true)
    .option('--no-sig-proxy')
    .action(async (name: string, flags: AttachFlags) => {
      const client = connect(flags, output)
      try {
        const found = await client.json<ContainerDetails>(
          'GET',
          `/containers/${encodeURIComponent(name)}/json`,
        )
        if (!found.State.Running) {
          throw new BerthError('CONFLICT', `Cannot attach to "${name}": it is not running`, {
            hint: `berth start -a ${name}`,
          })
        }
        const terminal = found.Config.Tty === true
        const stdin = flags.stdin && found.Config.OpenStdin === true
        requireTerminal(output, { terminal, stdin })
        output.exitCode = await attachAndStart(
          client,
          {
            id: found.Id,
            terminal,
            stdin,
            autoRemove: false,
            sigProxy: flags.sigProxy,
            detachKeys: flags.detachKeys,
            streams: ['stdin', 'stdout', 'stderr'],
            running: true,
          },
          output,
        )
      } catch (error) {
        output.fail(await withOtherLevel(error, { client, verb: 'attach', name }), 1)
      }
    })
}
