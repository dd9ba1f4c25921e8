import { Command } from 'commander'
import { isBerthError } from '../../engine/base/error.ts'
import { connect, list, withOtherLevel } from '../connect.ts'
import type { Output } from '../output.ts'
import { startExit } from './foreground.ts'
import { requireTerminal, runSession } from './session.ts'
import { environment, thisCaller } from './settings.ts'

interface ExecFlags {
  readonly host?: string
  readonly interactive?: true
  readonly tty?: true
  readonly detach?: true
  readonly detachKeys?: string
  readonly env?: string[]
  readonly envFile?: string[]
  readonly privileged?: true
  readonly user?: string
  readonly workdir?: string
}

export function command(output: Output): Command {
  return new Command('exec')
    .description('Run a command in a running container')
    .passThroughOptions()
    .argument('<container>')
    .argument('<command...>')
    .option('-i, --interactive', 'keep stdin open even if not attached')
    .option('-t, --tty', 'allocate a terminal')
    .option('-d, --detach', 'run in the background')
    .option('-e, --env <entry>', 'set environment variables', list)
    .option('--env-file <file>', 'read environment variables from a file', list)
    .option('-u, --user <user>', 'user name or id, USER[:GROUP]')
    .option('-w, --workdir <folder>', 'working directory inside the container')
    .option('--privileged', 'give all capabilities')
    .option('--detach-keys <keys>', 'keys that leave the command running')
    .action(async (container: string, argv: string[], flags: ExecFlags) => {
      const client = connect(flags, output)
      const terminal = flags.tty === true
      const stdin = flags.interactive === true && !flags.detach
      try {
        if (!flags.detach) requireTerminal(output, { terminal, stdin })
        const { Id } = await client.json<{ Id: string }>(
          'POST',
          `/containers/${encodeURIComponent(container)}/exec`,
          {
            body: {
              AttachStdin: stdin,
              AttachStdout: !flags.detach,
              AttachStderr: !flags.detach,
              Tty: terminal,
              Cmd: argv,
              Env: environment(flags, thisCaller(output.env)),
              User: flags.user ?? '',
              WorkingDir: flags.workdir ?? '',
              Privileged: flags.privileged === true,
              Detach: flags.detach === true,
              ...(flags.detachKeys !== undefined && { DetachKeys: flags.detachKeys }),
            },
          },
        )
        const body = { Detach: flags.detach === true, Tty: terminal }
        if (flags.detach) {
          await client.json('POST', `/exec/${Id}/start`, { body })
          return
        }
        const stream = await client.hijack(`/exec/${Id}/start`, { body })
        const resize = (rows: number, columns: number) =>
          client.json('POST', `/exec/${Id}/resize`, { query: { h: rows, w: columns } })
        const how = await runSession(
          stream,
          { terminal, stdin, detachKeys: flags.detachKeys, resize },
          output,
        )
        if (how === 'detached') return
        const { ExitCode } = await client.json<{ ExitCode: number | null }>('GET', `/exec/${Id}/json`)
        output.exitCode = ExitCode ?? 0
      } catch (error) {
        if (isBerthError(error, 'INTERRUPTED')) throw error
        const code = startExit(error)
        output.fail(
          await withOtherLevel(error, { client, verb: 'exec', name: container }),
          code === 125 ? 1 : code,
        )
      }
    })
}
