import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BerthError } from '../../base/error.ts'
import { newId } from '../../base/host/id.ts'
import type { Pod } from '../../object/types.generated.ts'
import type { Mounter, TokenIssuer, VolumeEngine } from '../ports.ts'
import type { TokenFile, VolumeFile, VolumePlan } from '../volumes.ts'
import { own } from './own.ts'

export interface PodVolumesOptions {
  /** `ROOT/pods`. */
  readonly folder: string
  readonly volumes: VolumeEngine
  readonly mounter: Mounter
  readonly tokens: TokenIssuer
}

/**
 * The volumes of pods below `pods/UID/volumes/NAME`:
 *
 *     ..2f9c…/key      the files of one state
 *     ..data           → ..2f9c…, replaced by rename: readers see one state or the other, never a mixture
 *     key              → ..data/key
 */
export class PodVolumes {
  readonly #options: PodVolumesOptions

  constructor(options: PodVolumesOptions) {
    this.#options = options
  }

  /** A pod's own folder. */
  folderOf(pod: Pod): string {
    return join(this.#options.folder, pod.metadata.uid ?? '')
  }

  /** Makes what is planned, or brings it up to date. Idempotent. */
  async prepare(pod: Pod, plans: readonly VolumePlan[]): Promise<void> {
    for (const plan of plans) await this.#prepare(pod, plan)
    await mkdir(join(this.folderOf(pod), 'volumes'), { recursive: true, mode: 0o755 })
    await writeFile(join(this.folderOf(pod), 'ready'), '')
  }

  /** Whether `prepare` came to its end once. */
  async isReady(pod: Pod): Promise<boolean> {
    return stat(join(this.folderOf(pod), 'ready')).then(
      () => true,
      () => false,
    )
  }

  /** The host's path of a volume. */
  async pathOf(pod: Pod, plan: VolumePlan): Promise<string> {
    if (plan.kind === 'host') return plan.path
    if (plan.kind === 'claim')
      return (await this.#options.volumes.ensure(`${pod.metadata.namespace}_${plan.claim}`)).folder
    return join(this.folderOf(pod), 'volumes', plan.name)
  }

  /** The uids of all pods that something was made for. */
  async uids(): Promise<readonly string[]> {
    return namesIn(this.#options.folder)
  }

  /**
   * All that was made for a pod; claims' and the host's folders stay. Idempotent; the uid is enough, because a crash
   * may leave the files of a pod whose object is gone.
   */
  async remove(uid: string): Promise<void> {
    const folder = join(this.#options.folder, uid)
    const volumes = join(folder, 'volumes')
    for (const name of await namesIn(volumes)) {
      const path = join(volumes, name)
      // Only what this class mounted itself lies on another file system: memory.
      while ((await lstat(path)).dev !== (await lstat(volumes)).dev) await this.#options.mounter.unmount(path)
    }
    await rm(folder, { recursive: true, force: true })
  }

  async #prepare(pod: Pod, plan: VolumePlan): Promise<void> {
    const path = await this.pathOf(pod, plan)
    const gid = pod.spec.securityContext?.fsGroup
    if (plan.kind === 'host') return ensureHostPath(plan.path, plan.type)
    if (plan.kind === 'claim') return own(path, gid)
    await mkdir(path, { recursive: true, mode: 0o777 })
    if (plan.kind === 'files') {
      const tokens = await Promise.all(plan.tokens.map((token) => this.#tokenFile(pod, token)))
      return writeState(path, [...plan.files, ...tokens], gid)
    }
    // A second mount would hide what is in the first.
    if (plan.memory && (await stat(path)).dev === (await stat(dirname(path))).dev) {
      await this.#options.mounter.mountTmpfs(
        path,
        plan.sizeBytes === undefined ? {} : { sizeBytes: plan.sizeBytes },
      )
    }
    // The umask took bits away: an empty volume is for whoever the containers run as.
    await chmod(path, 0o777)
    return own(path, gid)
  }

  async #tokenFile(pod: Pod, token: TokenFile): Promise<VolumeFile> {
    const { namespace = '' } = pod.metadata
    const name = pod.spec.serviceAccountName ?? 'default'
    const { audience, expirationSeconds, path, mode } = token
    const text = await this.#options.tokens.issue({
      namespace,
      name,
      expirationSeconds,
      ...(audience ? { audience } : {}),
    })
    return { path, mode, content: Buffer.from(text) }
  }
}

/** The entries of a folder that may be missing. */
async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
}

/** Replaces the files of a volume in one step. */
async function writeState(
  folder: string,
  files: readonly VolumeFile[],
  gid: number | undefined,
): Promise<void> {
  const state = `..${newId().slice(0, 16)}`
  for (const file of files) {
    const path = join(folder, state, file.path)
    await mkdir(dirname(path), { recursive: true, mode: 0o755 })
    await writeFile(path, file.content)
    await chmod(path, gid === undefined ? file.mode : file.mode | 0o440)
    if (gid !== undefined) await chown(path, 0, gid)
  }
  await mkdir(join(folder, state), { recursive: true, mode: 0o755 })
  const before = await readlink(join(folder, '..data')).catch(() => undefined)
  await rm(join(folder, '..data.new'), { force: true })
  await symlink(state, join(folder, '..data.new'))
  await rename(join(folder, '..data.new'), join(folder, '..data'))
  const tops = new Set(files.map((file) => file.path.split('/')[0] ?? ''))
  for (const name of tops) {
    await symlink(join('..data', name), join(folder, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
  for (const name of await readdir(folder))
    if (!name.startsWith('..') && !tops.has(name)) await rm(join(folder, name))
  if (before) await rm(join(folder, before), { recursive: true, force: true })
}

const hostTypes: Readonly<Record<string, (stats: Awaited<ReturnType<typeof stat>>) => boolean>> = {
  Directory: (s) => s.isDirectory(),
  DirectoryOrCreate: (s) => s.isDirectory(),
  File: (s) => s.isFile(),
  FileOrCreate: (s) => s.isFile(),
  Socket: (s) => s.isSocket(),
  CharDevice: (s) => s.isCharacterDevice(),
  BlockDevice: (s) => s.isBlockDevice(),
}

async function ensureHostPath(path: string, type: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  // Without a type nothing is checked; docker and kubelet make the missing folder.
  if (!found && (type === '' || type === 'DirectoryOrCreate')) {
    await mkdir(path, { recursive: true, mode: 0o755 })
  } else if (!found && type === 'FileOrCreate') await writeFile(path, '', { flag: 'a', mode: 0o644 })
  else if (type !== '' && !(found && hostTypes[type]?.(found))) {
    throw new BerthError('INVALID', `hostPath type check failed: ${path} is not a ${type}`)
  }
}
