import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../../base/error.ts'
import type { Pod } from '../../object/types.generated.ts'

/** Where a pod's logs lie, as kubelet has it: `NAMESPACE_NAME_UID/CONTAINER/ATTEMPT.log`. */
export function logFolderOf(logs: string, { metadata }: Pod): string {
  return join(logs, `${metadata.namespace}_${metadata.name}_${metadata.uid}`)
}

/** Removes the logs of pods whose uids are not wanted. Idempotent. */
export async function removeLogs(logs: string, isWanted: (uid: string) => boolean): Promise<void> {
  const names = await readdir(logs).catch((error) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  })
  for (const name of names) {
    const uid = /^[^_]+_[^_]+_([^_]+)$/.exec(name)?.[1]
    if (uid !== undefined && !isWanted(uid)) await rm(join(logs, name), { recursive: true, force: true })
  }
}
