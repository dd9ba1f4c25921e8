import { Command } from 'commander'
import { connect } from '../connect.ts'
import type { Output } from '../output.ts'
import { command as attach } from './attach.ts'
import { command as exec } from './exec.ts'
import { addRunFlags } from './flags.ts'
import { command as inspect } from './inspect.ts'
import { command as kill } from './kill.ts'
import { command as logs } from './logs.ts'
import { command as ps } from './ps.ts'
import { command as restart } from './restart.ts'
import { command as rm } from './rm.ts'
import { type CreateFlags, createContainer, command as run } from './run.ts'
import { command as start } from './start.ts'
import { command as stop } from './stop.ts'
import { command as wait } from './wait.ts'

/** `berth container …`: docker's grouped spelling, and `create`, which at the top is helm's. */
export function command(output: Output): Command {
  // Commander wants this before it takes in `run`, whose words behind the image are the container's.
  const group = new Command('container')
    .enablePositionalOptions()
    .description("Containers, in docker's grouped spelling")
  for (const child of [create, run, exec, start, stop, restart, kill, wait, logs, attach, inspect]) {
    group.addCommand(child(output))
  }
  group.addCommand(ps(output).name('ls').aliases(['list', 'ps']))
  group.addCommand(rm(output).alias('remove'))
  return group
}

function create(output: Output): Command {
  return addRunFlags(new Command('create'))
    .description('Create a container without starting it')
    .argument('<image>')
    .argument('[command...]')
    .action(async (image: string, args: string[], flags: CreateFlags) => {
      const client = connect(flags, output)
      output.line((await createContainer(client, { image, args, flags }, output)).Id)
    })
}
