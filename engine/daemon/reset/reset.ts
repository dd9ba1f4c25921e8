import { readdir, readFile, readlink, realpath } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { BerthError, messageOf } from '../../base/error.ts'
import type { Log } from '../../base/host/log.ts'
import { processesIn, removeCgroups } from '../../container/host/cgroups.ts'
import { observeMachine } from '../../container/host/machine.ts'
import { instanceOf, removeRemains } from '../../network/host/remains.ts'
import { launcherFile } from '../../runtime/host/launcher.ts'
import { Relay } from '../../runtime/host/relay.ts'
import { checkFolders, type Folders, kept, mountPlaces, removeRoot, removeRun } from './folders.ts'
import { mountsBelow } from './mounts.ts'
import { endProcesses, holdersOf, instanceAmong, listProcesses, withDescendants } from './processes.ts'

export interface ResetOptions extends Folders {
  /** Told of each thing as it is gone, one line. */
  readonly onRemoved: (line: string) => void
}

interface Place extends Folders {
  /** Nothing when neither root nor any sandbox tells. */
  readonly instance: string | undefined
  readonly relay: Relay
}

/** A supervisor that was being made may still have put something there: looked at again so often at most. */
const passLimit = 10

/**
 * Ends everything of one daemon and removes everything that it has on this machine. Found by what processes hold and by
 * what the kernel has, not by the daemon's records: right after any kill, of itself too, and when records are broken.
 * Done when a whole pass found nothing to remove.
 */
export async function reset(options: ResetOptions): Promise<void> {
  const [root, run] = await Promise.all([realPath(options.root), realPath(options.run)])
  await checkFolders({ root, run })
  await checkNamespace({ root, run })
  const isThere = (await Promise.all([root, run].map(kept))).some((names) => names.length > 0)
  await using relay = await Relay.open({ launcher: launcherFile(), log: quiet })
  const place = { root, run, relay, instance: await findInstance({ root, run }, relay) }
  for (let pass = 1; ; pass++) {
    const { removed, failures } = await once(place, options.onRemoved)
    if (removed === 0 && failures.length === 0) break
    if (removed > 0 && pass < passLimit) continue
    throw incomplete(place, failures)
  }
  if (isThere && place.instance === undefined) {
    options.onRemoved(`no "${root}/instance" told which bridges, firewall table and cgroups to look for`)
  }
  for (const folder of [root, run]) {
    const names = await kept(folder)
    if (names.length > 0) options.onRemoved(`kept ${folder}, which holds more: ${names.join(', ')}`)
  }
}

type Step = (place: Place) => Promise<readonly string[]>

/** In this order: nobody is left to make anything, then what runs, then what it stood on. */
const steps: readonly Step[] = [endHolders, endContainers, clearNetwork, unmount]

async function once(
  place: Place,
  onRemoved: (line: string) => void,
): Promise<{ removed: number; failures: unknown[] }> {
  const failures: unknown[] = []
  let removed = 0
  const attempt = async (step: Step) => {
    try {
      for (const line of await step(place)) {
        onRemoved(line)
        removed++
      }
    } catch (error) {
      failures.push(error)
    }
  }
  for (const step of steps) await attempt(step)
  // Files last, and only when all else is gone: they tell the next attempt what to look for.
  if (failures.length === 0) await attempt(removeFolders)
  return { removed, failures }
}

async function endHolders(place: Place): Promise<readonly string[]> {
  const holders = await holdersOf(place)
  if (holders.length === 0) return []
  const all = await listProcesses()
  const ending = withDescendants(all, holders)
  await endProcesses(ending)
  return [`ended ${count(ending.length, 'process', 'processes')}: ${ending.map(({ pid }) => pid).join(' ')}`]
}

async function endContainers({ instance }: Place): Promise<readonly string[]> {
  if (instance === undefined) return []
  const { hierarchies, parent } = (await observeMachine(instance)).cgroups
  const folders = hierarchies.map(({ mount }) => `${mount}${parent}`)
  const present = (await Promise.all(folders.map((folder) => tree(folder)))).flat()
  if (present.length === 0) return []
  const pids = new Set((await Promise.all(present.map(processesIn))).flat())
  await removeCgroups(folders)
  const killed = pids.size > 0 ? [`killed ${count(pids.size, 'process', 'processes')} of containers`] : []
  return [...killed, `removed ${count(present.length, 'cgroup', 'cgroups')} at ${parent}`]
}

async function clearNetwork({ relay, instance }: Place): Promise<readonly string[]> {
  if (instance === undefined) return []
  return (await removeRemains(relay, { instance, log: quiet })).map((what) => `removed ${what}`)
}

/** The folder and all below it; nothing when it is not there. */
async function tree(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined)
  if (!entries) return []
  const inner = entries.filter((entry) => entry.isDirectory()).map(({ name }) => tree(join(folder, name)))
  return [folder, ...(await Promise.all(inner)).flat()]
}

async function unmount(place: Place): Promise<readonly string[]> {
  const mounts = await mounted(place)
  for (const mount of mounts) await place.relay.unmount(mount, { lazy: true })
  return mounts.map((mount) => `unmounted ${mount}`)
}

async function removeFolders(place: Place): Promise<readonly string[]> {
  const { root, run } = place
  const [busy] = await mounted(place)
  // Nothing is ever deleted through a mount: it may be a volume of somebody's.
  if (busy !== undefined) throw new BerthError('CONFLICT', `Cannot remove files: "${busy}" is mounted again`)
  const removed: string[] = []
  if (await removeRun(run)) removed.push(`removed ${run}`)
  if (await removeRoot(root)) removed.push(`removed ${root}`)
  return removed
}

async function mounted(folders: Folders): Promise<readonly string[]> {
  return mountsBelow(await readFile('/proc/self/mountinfo', 'utf8'), mountPlaces(folders))
}

/**
 * The instance that names bridge, table and cgroups: of the root folder; of the cgroups that its processes are in; of the
 * bridge that its sandboxes are on.
 */
async function findInstance(folders: Folders, relay: Relay): Promise<string | undefined> {
  const { root, run } = folders
  const text = (await readFile(join(root, 'instance'), 'utf8').catch(() => undefined))?.trim()
  if (text !== undefined && /^([0-9a-f]{6})?$/.test(text)) return text
  const living = withDescendants(await listProcesses(), await holdersOf(folders))
  const pins = (await readdir(join(run, 'ns')).catch(() => [])).filter((name) => name.endsWith('-net'))
  return (
    (await instanceAmong(living)) ??
    (await instanceOf(
      relay,
      pins.map((name) => join(run, 'ns', name)),
    ))
  )
}

/** Bridges and tables are seen in one network namespace only: the daemon's, which has to be this process's. */
async function checkNamespace(folders: Folders): Promise<void> {
  const own = await readlink('/proc/self/ns/net')
  for (const pid of await holdersOf(folders)) {
    const theirs = await readlink(`/proc/${pid}/ns/net`).catch(() => own)
    if (theirs === own) continue
    throw new BerthError(
      'CONFLICT',
      `Cannot reset: process ${pid} of the daemon is in another network namespace`,
      {
        hint: `nsenter -t ${pid} -n berth system reset …`,
      },
    )
  }
}

function incomplete({ root }: Place, failures: readonly unknown[]): BerthError {
  const [first, ...more] = failures
  const others = more.length > 0 ? ` (and ${more.length} more)` : ''
  return new BerthError('CONFLICT', `Cannot remove everything of the daemon in "${root}"${others}`, {
    cause: first ?? 'something makes new things while old ones are removed: is it being started?',
    hint: 'berth system reset can be repeated',
    details: { failures: failures.map(messageOf) },
  })
}

/** As the kernel names it; a folder that is gone, below its parent. */
async function realPath(path: string): Promise<string> {
  const whole = resolve(path)
  return realpath(whole).catch(async () =>
    join(await realpath(dirname(whole)).catch(() => dirname(whole)), basename(whole)),
  )
}

const count = (n: number, one: string, many: string) => `${n} ${n === 1 ? one : many}`

const quiet: Log = () => undefined
