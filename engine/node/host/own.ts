import { constants } from 'node:fs'
import { chmod, chown, type FileHandle, open, readdir } from 'node:fs/promises'
import { errnoOf } from '../../base/error.ts'

/** Linux's O_PATH, the same on x64 and arm64: a descriptor that only says which file is meant. */
const path = 0o10000000
const { O_NOFOLLOW, S_IFMT, S_IFDIR, S_IFREG } = constants

/**
 * Gives a folder and what is in it to a group, new files too; what has it already is left alone.
 *
 * A container may be at work in the folder and put links where files were. So every file is opened first, without
 * following a link, by its name in a folder that is open already (`/proc/self/fd/N/NAME`), and is changed by its
 * descriptor.
 */
export async function own(folder: string, gid: number | undefined): Promise<void> {
  if (gid === undefined) return
  await using top = await open(folder, path)
  const { gid: before, mode } = await top.stat()
  if (before === gid && (mode & 0o2070) === 0o2070) return
  // The top last: it tells that all the rest is done.
  await ownInside(top, gid)
  await give(top, gid)
}

const at = ({ fd }: FileHandle): string => `/proc/self/fd/${fd}`

async function ownInside(folder: FileHandle, gid: number): Promise<void> {
  for (const name of await readdir(at(folder))) {
    try {
      await using entry = await open(`${at(folder)}/${name}`, path | O_NOFOLLOW)
      if (((await entry.stat()).mode & S_IFMT) === S_IFDIR) await ownInside(entry, gid)
      await give(entry, gid)
    } catch (error) {
      // Removed meanwhile.
      if (errnoOf(error) !== 'ENOENT') throw error
    }
  }
}

/** A link's own group does not matter; of other kinds only the group is changed. */
async function give(entry: FileHandle, gid: number): Promise<void> {
  const { uid, mode } = await entry.stat()
  const kind = mode & S_IFMT
  if (kind === constants.S_IFLNK) return
  await chown(at(entry), uid, gid)
  if (kind === S_IFDIR) await chmod(at(entry), (mode & 0o7777) | 0o2770)
  else if (kind === S_IFREG) await chmod(at(entry), (mode & 0o7777) | 0o660)
}
