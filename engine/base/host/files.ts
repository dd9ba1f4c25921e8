import { randomBytes } from 'node:crypto'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Writes a file so that after a crash at any instruction it holds either the old content or the new: a temporary
 * file beside it, fsync, rename, fsync of the folder. The temporary file is removed when a step fails.
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  mode = 0o600,
): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    await using file = await open(temporary, 'wx', mode)
    await file.writeFile(content)
    await file.sync()
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncFolder(dirname(path))
}

/** Makes the folder's entries (creations, renames, removals) durable. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r')
  await folder.sync()
}

/** Makes a folder and its parents, the folder itself with exactly this mode whatever the umask. */
export async function ensureFolder(path: string, mode = 0o700): Promise<void> {
  await mkdir(path, { recursive: true, mode })
  await using folder = await open(path, 'r')
  await folder.chmod(mode)
}
