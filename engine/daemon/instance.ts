import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BerthError, errnoOf } from '../base/error.ts'
import { writeFileAtomic } from '../base/host/files.ts'
import { defaultRoot } from './config.ts'

/**
 * What ends the names of bridge, firewall table, cgroups and marks, so that several daemons live side by side: empty
 * for the default root, else six hex digits that are drawn once and kept in `ROOT/instance`.
 */
export async function readInstance(root: string): Promise<string> {
  const file = join(root, 'instance')
  try {
    const text = (await readFile(file, 'utf8')).trim()
    if (text === '' || /^[0-9a-f]{6}$/.test(text)) return text
    throw new BerthError('CONFIGURATION', `"${file}" should hold six hex digits or nothing`, {
      hint: 'restore it from a backup: bridge, firewall and cgroups are named after it',
    })
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
  const drawn = root === defaultRoot ? '' : randomBytes(3).toString('hex')
  await writeFileAtomic(file, `${drawn}\n`)
  return drawn
}
