import { BerthError } from '../engine/base/error.ts'
import { compileFormat } from './format.ts'
import type { Output } from './output.ts'

/**
 * Prints what was found in docker's way, an indented list or `--format` for each; a name that was not found is an
 * error at the end, with the rest printed.
 */
export async function inspectAll(
  names: readonly string[],
  find: (name: string) => Promise<unknown>,
  { format, output }: { format: string | undefined; output: Output },
): Promise<void> {
  const template = format === undefined || format === 'json' ? undefined : compileFormat(format)
  const found: unknown[] = []
  const errors: unknown[] = []
  for (const name of names) {
    try {
      found.push(await find(name))
    } catch (error) {
      errors.push(error)
    }
  }
  if (template) for (const item of found) output.line(template(item))
  else if (format === 'json') output.line(JSON.stringify(found))
  else output.line(found.length === 0 ? '[]' : JSON.stringify(found, null, 4))
  for (const error of errors) output.fail(error, 1)
}

/** The error for a name that no kind of object has. */
export function noSuchObject(name: string): BerthError {
  return new BerthError('NOT_FOUND', `No such object: ${name}`, {
    hint: 'berth ps -a and berth images list what is there',
  })
}
