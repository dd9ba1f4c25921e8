import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { BerthError, errnoOf } from '../../base/error.ts'
import type { Values } from '../chart.ts'
import { readValues } from '../load.ts'
import { applySet, type SetKind } from '../set.ts'
import { mergeValues } from '../values.ts'

/** The flags that give values, as Helm has them. */
export interface ValueFlags {
  readonly files?: readonly string[]
  readonly json?: readonly string[]
  readonly set?: readonly string[]
  readonly string?: readonly string[]
  readonly file?: readonly string[]
  readonly literal?: readonly string[]
}

/** The order in which the flags are laid over each other, the last wins. Helm's. */
const order: readonly (readonly [keyof ValueFlags, SetKind])[] = [
  ['json', 'set-json'],
  ['set', 'set'],
  ['string', 'set-string'],
  ['file', 'set-file'],
  ['literal', 'set-literal'],
]

/** What the user's flags give: values files in their order (`-` is stdin), then the `--set` family. */
export async function readValueFlags(flags: ValueFlags, signal: AbortSignal): Promise<Values> {
  let values: Values = {}
  for (const path of flags.files ?? []) {
    signal.throwIfAborted()
    const content =
      path === '-' ? await text(process.stdin) : await readFile(path, 'utf8').catch(missing(path))
    values = mergeValues(values, readValues(content, path === '-' ? 'stdin' : path))
  }
  const readFlagFile = (path: string) => {
    try {
      return readFileSync(path, 'utf8')
    } catch (error) {
      return missing(path, 'failed parsing --set-file data')(error)
    }
  }
  for (const [flag, kind] of order)
    for (const one of flags[flag] ?? []) values = applySet(one, values, { kind, readFile: readFlagFile })
  return values
}

function missing(path: string, action = 'Cannot read values') {
  return (error: unknown): never => {
    if (errnoOf(error) === 'ENOENT')
      throw new BerthError('NOT_FOUND', `${action}: open ${path}: no such file or directory`)
    throw error
  }
}
