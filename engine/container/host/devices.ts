import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BerthError } from '../../base/error.ts'
import type { OciDevice } from '../../runtime/oci/types.ts'
import type { ContainerSettings } from '../container.ts'

export type SharedDevice = OciDevice & { readonly permissions: string }

/** The host's nodes that a container gets besides the defaults: all for a privileged one, else what was asked. */
export async function sharedDevices(settings: ContainerSettings): Promise<SharedDevice[]> {
  if (settings.privileged) return allDevices('/dev')
  const found: SharedDevice[] = []
  for (const { hostPath, containerPath, permissions } of settings.devices ?? []) {
    const device = await deviceOf(hostPath, containerPath || hostPath, permissions || 'rwm')
    if (!device) {
      throw new BerthError(
        'INVALID',
        `Error gathering device information while adding custom device "${hostPath}": not a device node`,
      )
    }
    found.push(device)
  }
  return found
}

/** What the container has of its own. */
const ownFolders = new Set(['/dev/pts', '/dev/shm', '/dev/mqueue', '/dev/fd'])

async function allDevices(folder: string): Promise<SharedDevice[]> {
  const found: SharedDevice[] = []
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory() && !ownFolders.has(path)) found.push(...(await allDevices(path)))
    if (!entry.isCharacterDevice() && !entry.isBlockDevice()) continue
    if (path === '/dev/console' || path === '/dev/ptmx') continue
    const device = await deviceOf(path, path, 'rwm')
    if (device) found.push(device)
  }
  return found
}

async function deviceOf(
  hostPath: string,
  path: string,
  permissions: string,
): Promise<SharedDevice | undefined> {
  const status = await stat(hostPath).catch(() => undefined)
  if (!status?.isCharacterDevice() && !status?.isBlockDevice()) return undefined
  const rdev = BigInt(status.rdev)
  return {
    path,
    type: status.isBlockDevice() ? 'b' : 'c',
    // glibc's dev_t: major in bits 8–19 and 32–63, minor in bits 0–7 and 20–31.
    major: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn)),
    minor: Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n)),
    fileMode: status.mode & 0o7777,
    uid: status.uid,
    gid: status.gid,
    permissions,
  }
}
