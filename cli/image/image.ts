import { Command } from 'commander'
import { connect } from '../connect.ts'
import { inspectAll } from '../inspection.ts'
import type { Output } from '../output.ts'
import { command as images } from './images.ts'
import { command as pull } from './pull.ts'
import { command as rmi } from './rmi.ts'
import { command as tag } from './tag.ts'

/** `berth image …`: docker's grouped spelling. */
export function command(output: Output): Command {
  return new Command('image')
    .description('Images: ls, inspect, pull, rm, tag')
    .addCommand(images(output).name('ls').alias('list'))
    .addCommand(
      new Command('inspect')
        .description('Print all that is known of images')
        .argument('<image...>')
        .option('-f, --format <format>', 'json or a Go template')
        .action(async (names: string[], flags: { host?: string; format?: string }) => {
          const client = connect(flags, output)
          await inspectAll(names, (name) => client.json('GET', `/images/${name}/json`), {
            format: flags.format,
            output,
          })
        }),
    )
    .addCommand(pull(output))
    .addCommand(rmi(output).name('rm').alias('remove'))
    .addCommand(tag(output))
}
