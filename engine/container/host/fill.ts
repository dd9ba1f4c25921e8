import {
  chmod,
  copyFile,
  lchown,
  lstat,
  lutimes,
  mkdir,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
  symlink,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errnoOf } from '../../base/error.ts'
import { syncFolder } from '../../base/host/files.ts'
import type { MountPoint } from '../container.ts'
import { type Engine, placesOf } from './engine.ts'

/**
 * docker's copy-up: an empty volume takes the image's files at its mount point, with their owners and modes. They
 * are copied beside the volume's folder, which is replaced in one step, so that a volume is empty or filled.
 */
export async function fillVolumes(
  engine: Engine,
  options: { id: string; imageId: string; mounts: readonly MountPoint[] },
): Promise<void> {
  const empty: MountPoint[] = []
  for (const mount of options.mounts) {
    if (mount.kind !== 'volume' || mount.setting.noCopy || mount.setting.subPath) continue
    if ((await readdir(mount.source)).length === 0) empty.push(mount)
  }
  if (empty.length === 0) return
  const { rootfs } = placesOf(engine, options.id)
  const { folder, lower } = await engine.images.rootfs(options.imageId)
  // The kernel refuses a read-only overlay of one layer: that layer is the whole image.
  const single = lower.length === 1 && lower[0] !== undefined ? join(folder, lower[0]) : undefined
  if (!single) await engine.overlays.mountOverlay({ folder, lower, target: rootfs })
  try {
    for (const mount of empty) await fill(single ?? rootfs, mount)
  } finally {
    if (!single) await engine.overlays.unmount(rootfs)
  }
}

async function fill(rootfs: string, { source, target }: MountPoint): Promise<void> {
  const from = join(rootfs, target)
  // A link on the way could lead out of the image: then the volume stays empty.
  const real = await realpath(from).catch(() => undefined)
  if (real !== join(await realpath(rootfs), target) || !(await lstat(real)).isDirectory()) return
  const beside = `${source}.fill`
  await rm(beside, { recursive: true, force: true })
  await copy(real, beside)
  await rename(beside, source).catch(async (error) => {
    await rm(beside, { recursive: true, force: true })
    // Somebody else filled it meanwhile.
    if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'EEXIST') throw error
  })
  await syncFolder(dirname(source))
}

/** Devices, sockets and pipes are left out: a volume holds files. */
async function copy(from: string, to: string): Promise<void> {
  const status = await lstat(from)
  if (status.isDirectory()) {
    await mkdir(to)
    for (const name of await readdir(from)) await copy(join(from, name), join(to, name))
  } else if (status.isSymbolicLink()) {
    await symlink(await readlink(from), to)
  } else if (status.isFile()) {
    await copyFile(from, to)
  } else {
    return
  }
  await lchown(to, status.uid, status.gid)
  if (!status.isSymbolicLink()) await chmod(to, status.mode & 0o7777)
  await lutimes(to, status.atime, status.mtime)
}
