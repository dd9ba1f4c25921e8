import type { Command } from 'commander'
import type { ValueFlags } from '../../engine/chart/host/values.ts'
import { list } from '../connect.ts'

/** What the values flags give, as commander names them. */
export interface ValueOptions {
  readonly values?: string[]
  readonly set?: string[]
  readonly setString?: string[]
  readonly setJson?: string[]
  readonly setFile?: string[]
  readonly setLiteral?: string[]
}

/** Adds the flags that give values, as Helm has them. */
export function addValueFlags(command: Command): Command {
  return command
    .option('-f, --values <file>', 'values of a YAML file, - for stdin (can be given several times)', list)
    .option('--set <values>', 'values on the command line: key1=val1,key2=val2', list)
    .option('--set-string <values>', 'values that are text whatever they look like', list)
    .option('--set-json <values>', 'values as JSON: key1=jsonval1, or a JSON object', list)
    .option('--set-file <values>', 'values from files: key1=path1,key2=path2', list)
    .option('--set-literal <value>', 'one value that is taken literally', list)
}

/** The values flags as the engine reads them. */
export function valueFlags(options: ValueOptions): ValueFlags {
  return {
    ...(options.values ? { files: options.values } : {}),
    ...(options.setJson ? { json: options.setJson } : {}),
    ...(options.set ? { set: options.set } : {}),
    ...(options.setString ? { string: options.setString } : {}),
    ...(options.setFile ? { file: options.setFile } : {}),
    ...(options.setLiteral ? { literal: options.setLiteral } : {}),
  }
}
