import { readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { kill } from 'node:process'
import { setTimeout } from 'node:timers/promises'
import { errnoOf } from '../../base/error.ts'
import type { CgroupLayout } from '../../runtime/oci/cgroups.ts'

/** Kills what is in the cgroups and removes them; what is not there is fine. Inner cgroups go first. */
export async function removeCgroups(folders: readonly string[]): Promise<void> {
  await Promise.all(folders.map(removeCgroup))
}

async function removeCgroup(folder: string): Promise<void> {
  for (let attempt = 0; !(await removeTree(folder)); attempt++) {
    if (attempt > 100) throw new Error(`Cannot remove the cgroup ${JSON.stringify(folder)}: it stays busy`)
    await killAll(folder)
    await setTimeout(Math.min(50, 1 + attempt))
  }
}

async function removeTree(folder: string): Promise<boolean> {
  // Mostly its supervisor has removed it, or nothing is in it.
  if (await removeFolder(folder)) return true
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    if (entry.isDirectory() && !(await removeTree(`${folder}/${entry.name}`))) return false
  }
  return removeFolder(folder)
}

async function removeFolder(folder: string): Promise<boolean> {
  try {
    await rmdir(folder)
    return true
  } catch (error) {
    return errnoOf(error) === 'ENOENT'
  }
}

async function killAll(folder: string): Promise<void> {
  // v2 kills the whole tree at once.
  await writeFile(`${folder}/cgroup.kill`, '1', { flag: 'r+' }).catch(() => undefined)
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  for (const entry of entries) if (entry.isDirectory()) await killAll(`${folder}/${entry.name}`)
  for (const pid of await processesIn(folder)) {
    try {
      kill(pid, 'SIGKILL')
    } catch (error) {
      if (errnoOf(error) !== 'ESRCH') throw error
    }
  }
}

/** Process ids as the host sees them. */
export async function processesIn(folder: string): Promise<number[]> {
  const text = await readFile(`${folder}/cgroup.procs`, 'utf8').catch(() => '')
  return text.split('\n').filter(Boolean).map(Number)
}

/** Names of the cgroups below the layout's parent, over all hierarchies. */
export async function cgroupNames(layout: CgroupLayout): Promise<Set<string>> {
  const names = new Set<string>()
  for (const { mount } of layout.hierarchies) {
    const entries = await readdir(mount + layout.parent, { withFileTypes: true }).catch(() => [])
    for (const entry of entries) if (entry.isDirectory()) names.add(entry.name)
  }
  return names
}
