import { Command } from 'commander'
import { connect } from '../connect.ts'
import type { Output } from '../output.ts'
import { splitReference } from './reference.ts'

export function command(output: Output): Command {
  return new Command('tag')
    .description('Give an image a further name')
    .argument('<image>')
    .argument('<name>')
    .action(async (image: string, target: string, flags: { host?: string }) => {
      const { name, tag } = splitReference(target)
      try {
        await connect(flags, output).json('POST', `/images/${image}/tag`, { query: { repo: name, tag } })
      } catch (error) {
        output.fail(error, 1)
      }
    })
}
