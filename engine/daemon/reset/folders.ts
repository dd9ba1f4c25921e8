import { lstat, readdir, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { BerthError, errnoOf } from '../../base/error.ts'

/**
 * What the daemon makes in its root folder, in the order in which it is removed: `instance`, which tells what else
 * there is on the machine, goes last, so that a reset that was cut off can go on.
 */
const rootEntries = [
  'db',
  'containers',
  'sandboxes',
  'pods',
  'volumes',
  'layers',
  'content',
  'registry',
  'logs',
  'api',
  'lock',
  'instance',
]
const runEntries: Readonly<Record<string, RegExp | undefined>> = {
  'berth.sock': undefined,
  'docker.sock': undefined,
  'keeper.sock': undefined,
  'keeper.settings': undefined,
  // Folders, by what is in them: names as short as these may be somebody else's.
  s: /^[0-9a-f]{12}$/,
  ns: /^[0-9a-f]{12}-(net|ipc|uts|pid)$/,
}
/** Left by a write that was cut off. */
const temporary = /\.[0-9a-f]{12}\.tmp$/

export interface Folders {
  readonly root: string
  readonly run: string
}

/**
 * Refuses folders that are not a daemon's, before anything is done: their names were mistyped. A run folder has nothing
 * but what a daemon makes; a root folder has `instance` or `lock`, or is what a removal by hand left of one beside a
 * run folder. Missing and empty ones are fine.
 */
export async function checkFolders({ root, run }: Folders): Promise<void> {
  const [inRoot = [], inRun = []] = await Promise.all([entries(root), entries(run)])
  const stranger = inRun.find((name) => !isRunEntry(name))
  if (stranger !== undefined) throw notOurs(run, 'run', `it has "${stranger}"`)
  const isMarked = inRoot.some((name) => name === 'instance' || name === 'lock')
  const isRest = inRun.length > 0 && inRoot.every((name) => rootEntries.includes(name))
  if (inRoot.length > 0 && !isMarked && !isRest) {
    throw notOurs(root, 'root', 'it has neither "instance" nor "lock"')
  }
}

/** Where the daemon mounts: nothing else below its folders is ever unmounted, another daemon's may lie there. */
export function mountPlaces({ root, run }: Folders): readonly string[] {
  return [...rootEntries.map((name) => join(root, name)), join(run, 'ns')]
}

/** Removes the run folder. Whether anything was removed. */
export async function removeRun(folder: string): Promise<boolean> {
  const present = await entries(folder)
  if (!present) return false
  for (const name of present.filter(isRunEntry)) {
    const inside = runEntries[name]
    if (inside) {
      for (const inner of (await entries(join(folder, name))) ?? [])
        if (inside.test(inner)) await rm(join(folder, name, inner), { force: true })
      await removeEmpty(join(folder, name))
    } else await rm(join(folder, name), { force: true })
  }
  return (await removeEmpty(folder)) || ((await entries(folder))?.length ?? 0) < present.length
}

/** Removes the root folder, or of a folder that holds more, what is the daemon's. Whether anything was removed. */
export async function removeRoot(folder: string): Promise<boolean> {
  const present = await entries(folder)
  if (!present) return false
  let some = false
  for (const known of rootEntries) {
    for (const name of present.filter((entry) => entry.replace(temporary, '') === known)) {
      await rm(join(folder, name), { recursive: true, force: true })
      some = true
    }
  }
  return (await removeEmpty(folder)) || some
}

/** What is in a folder that stays because it is not the daemon's; nothing when the folder is gone. */
export async function kept(folder: string): Promise<readonly string[]> {
  return (await entries(folder)) ?? []
}

const isRunEntry = (name: string) => Object.hasOwn(runEntries, name.replace(temporary, ''))

function notOurs(folder: string, kind: string, why: string): BerthError {
  return new BerthError('INVALID', `Cannot reset: "${folder}" is no ${kind} folder of a daemon: ${why}`, {
    hint: 'give the folders that berth daemon was started with',
  })
}

async function entries(folder: string): Promise<readonly string[] | undefined> {
  try {
    return (await lstat(folder)).isDirectory() ? await readdir(folder) : undefined
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** False when it holds something, is a mount point, or is not there. */
async function removeEmpty(folder: string): Promise<boolean> {
  try {
    await rmdir(folder)
    return true
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST', 'EBUSY', 'ENOENT'].includes(errnoOf(error) ?? '')) return false
    throw error
  }
}
