import { Command } from 'commander'
import { entryFile } from '../../engine/base/host/entry.ts'
import type { Output } from '../output.ts'

interface DaemonFlags {
  readonly root?: string
  readonly run?: string
  readonly config?: string
  readonly debug?: true
}

/** `berth daemon`: this process is replaced by the daemon's own program, so signals and a terminal reach that. */
export function command(output: Output): Command {
  return new Command('daemon')
    .description('Start the daemon, in the foreground; Ctrl-C ends it and leaves containers running')
    .option('--root <folder>', 'where everything is kept (default: /var/lib/berth)')
    .option('--run <folder>', 'where the sockets are (default: /run/berth)')
    .option('--config <file>', 'configuration (default: /etc/berth/config.json, when it is there)')
    .option('--debug', 'log more')
    .action((flags: DaemonFlags) => {
      const args = (['root', 'run', 'config'] as const).flatMap((name) => {
        const value = flags[name]
        return value === undefined ? [] : [`--${name}`, value]
      })
      const argv = [
        process.execPath,
        entryFile('daemon', 'engine/daemon/main.ts'),
        ...args,
        ...(flags.debug ? ['--debug'] : []),
      ]
      process.execve?.(process.execPath, argv, { ...process.env })
      output.fail(new Error('Cannot replace this process: Node is too old'))
    })
}
