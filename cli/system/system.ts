import { createInterface } from 'node:readline/promises'
import { Command } from 'commander'
import { BerthError } from '../../engine/base/error.ts'
import { entryFile } from '../../engine/base/host/entry.ts'
import { parseHost } from '../../engine/client/docker/address.ts'
import type { Output } from '../output.ts'

interface ResetFlags {
  readonly force?: true
  readonly root?: string
  readonly run?: string
  readonly config?: string
  readonly host?: string
}

/** `berth system`. */
export function command(output: Output): Command {
  const system = new Command('system').description('The whole of this machine: reset')
  system
    .command('reset')
    .description('End the daemon and all containers, and remove everything of berth, volumes too')
    .option('-f, --force', 'do not ask')
    .option('--root <folder>', "the daemon's root folder (default: the configuration's, /var/lib/berth)")
    .option('--run <folder>', "the daemon's run folder (default: the configuration's, /run/berth)")
    .option('--config <file>', 'configuration (default: /etc/berth/config.json, when it is there)')
    .action((flags: ResetFlags) => reset(flags, output))
  return system
}

/** The work is the daemon's own program's, which knows what a daemon leaves; this one asks. */
async function reset(flags: ResetFlags, output: Output): Promise<void> {
  const { force, root, run, config } = flags
  checkFolders(flags, output)
  if (!force && !(await agrees(root ?? 'the default root folder', output))) {
    output.note('Nothing was changed')
    output.exitCode = 1
    return
  }
  const args = Object.entries({ root, run, config }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, value],
  )
  const argv = [process.execPath, entryFile('daemon', 'engine/daemon/main.ts'), '--reset', ...args]
  process.execve?.(process.execPath, argv, { ...process.env })
  output.fail(new Error('Cannot replace this process: Node is too old'))
}

/** Never another daemon than the one that is meant: one folder, or an address, does not tell the other folder. */
function checkFolders({ root, run, host }: ResetFlags, output: Output): void {
  if ((root === undefined) !== (run === undefined)) {
    throw new BerthError('USAGE', 'Cannot reset with one folder alone: --root and --run belong together')
  }
  const socket = parseHost(host ?? output.env.BERTH_HOST)
  if (root !== undefined || socket === parseHost(undefined)) return
  throw new BerthError('USAGE', `Cannot tell the folders of the daemon at "unix://${socket}"`, {
    hint: 'give them with --root and --run, as they were given to berth daemon',
  })
}

async function agrees(root: string, output: Output): Promise<boolean> {
  const { stdin, stderr } = output.streams
  if (!stdin?.isTTY) {
    throw new BerthError('USAGE', 'Cannot ask whether to remove everything: there is no terminal', {
      hint: 'berth system reset --force',
    })
  }
  output.note(
    `This ends the daemon of ${root} and removes all of its containers, images, releases and VOLUMES.`,
  )
  const asking = createInterface({ input: stdin, output: stderr })
  try {
    return /^(y|yes)$/i.test((await asking.question('Go on? [y/N] ')).trim())
  } finally {
    asking.close()
  }
}
