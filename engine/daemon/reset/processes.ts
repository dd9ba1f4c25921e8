import type { Stats } from 'node:fs'
import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { BerthError, errnoOf } from '../../base/error.ts'
import type { Folders } from './folders.ts'

/** A process for ever: numbers are used again, start times (ticks since boot) are not. */
export interface Process {
  readonly pid: number
  readonly parent: number
  readonly started: string
  readonly zombie: boolean
}

const endLimitMs = 10_000

/** All processes that this one sees, by number. */
export async function listProcesses(): Promise<ReadonlyMap<number, Process>> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const all = await Promise.all(pids.map((pid) => readProcess(Number(pid))))
  return new Map(all.flatMap((process) => (process ? [[process.pid, process]] : [])))
}

async function readProcess(pid: number): Promise<Process | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The name, in parentheses, may hold anything: the fields behind its last one count. proc(5), /proc/pid/stat.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state = '', parent] = fields
  const started = fields[19]
  if (started === undefined) return undefined
  return { pid, parent: Number(parent), started, zombie: state === 'Z' || state === 'X' }
}

/**
 * Keeper, daemon and supervisors of these folders, found by what they hold and not by a name: the lock of the root
 * folder, or one of the run folder's sockets (also when the files themselves are gone, and in whatever network
 * namespace they are).
 */
export async function holdersOf(folders: Folders): Promise<readonly number[]> {
  const lock = `${folders.root}/lock`
  const lockFile = await stat(lock).catch(() => undefined)
  const known: Known = { ...folders, lock, lockFile, view: await viewOf('self'), sockets: new Map() }
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const found = await Promise.all(
    pids.map(async (pid) => ((await isHolder(pid, known)) ? [Number(pid)] : [])),
  )
  return found.flat()
}

interface Known extends Folders {
  readonly lock: string
  readonly lockFile: Stats | undefined
  readonly view: string
  /** The daemon's sockets in each network namespace. */
  readonly sockets: Map<string, Promise<ReadonlySet<string>>>
}

async function isHolder(pid: string, known: Known): Promise<boolean> {
  // A path means the same file only to who sees the same files: another berth may run in a container, at the same path.
  const isSameView = (await viewOf(pid)) === known.view
  const sockets = isSameView ? await socketsSeenBy(pid, known) : new Set()
  for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
    const link = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')
    if (sockets.has(link)) return true
    if (!/\/lock( \(deleted\))?$/.test(link)) continue
    const open = await stat(`/proc/${pid}/fd/${fd}`).catch(() => undefined)
    const isLock = known.lockFile
      ? open?.ino === known.lockFile.ino && open.dev === known.lockFile.dev
      : isSameView && link === `${known.lock} (deleted)`
    // Whoever only reads the file has no lock.
    const facts = isLock ? await readFile(`/proc/${pid}/fdinfo/${fd}`, 'utf8').catch(() => '') : ''
    if (/^lock:.* FLOCK /m.test(facts)) return true
  }
  return false
}

/** What decides which file a path is. */
async function viewOf(pid: string): Promise<string> {
  const links = ['ns/mnt', 'root'].map((name) => readlink(`/proc/${pid}/${name}`).catch(() => ''))
  return (await Promise.all(links)).join(' ')
}

async function socketsSeenBy(pid: string, { run, sockets }: Known): Promise<ReadonlySet<string>> {
  const namespace = await readlink(`/proc/${pid}/ns/net`).catch(() => '')
  const known = sockets.get(namespace) ?? readSockets(pid, run)
  sockets.set(namespace, known)
  return known
}

/** `socket:[INODE]` of the Unix sockets that are a daemon's, which the kernel remembers by the path they were bound to. */
async function readSockets(pid: string, run: string): Promise<ReadonlySet<string>> {
  const text = await readFile(`/proc/${pid}/net/unix`, 'utf8').catch(() => '')
  return new Set(
    text.split('\n').flatMap((line) => {
      // Num RefCount Protocol Flags Type St Inode Path
      const [, , , , , , inode, ...path] = line.trim().split(/ +/)
      const bound = path.join(' ')
      if (!bound.startsWith(`${run}/`)) return []
      const name = bound.slice(run.length + 1)
      return /^((berth|docker|keeper)\.sock|s\/[0-9a-f]{12})$/.test(name) ? [`socket:[${inode}]`] : []
    }),
  )
}

/** The instance in whose cgroups one of these processes is; nothing when none is in any. */
export async function instanceAmong(processes: readonly Process[]): Promise<string | undefined> {
  for (const { pid } of processes) {
    const text = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')
    const match = /^\d+:[^:]*:\/berth(?:-([0-9a-f]{6}))?(?:\.slice)?\//m.exec(text)
    if (match) return match[1] ?? ''
  }
  return undefined
}

/** These processes and all below them, parents first: a keeper goes before the daemon that it would start again. */
export function withDescendants(
  all: ReadonlyMap<number, Process>,
  pids: readonly number[],
): readonly Process[] {
  const wanted = new Set(pids)
  const isBelow = (process: Process): boolean => {
    if (wanted.has(process.pid)) return true
    const parent = all.get(process.parent)
    return parent !== undefined && isBelow(parent)
  }
  const depth = (process: Process): number => {
    const parent = all.get(process.parent)
    return parent ? depth(parent) + 1 : 0
  }
  return [...all.values()].filter((p) => !p.zombie && isBelow(p)).sort((a, b) => depth(a) - depth(b))
}

/** Kills them in this order and waits until they have ended. */
export async function endProcesses(processes: readonly Process[]): Promise<void> {
  for (const process of processes) await kill(process)
  const end = Date.now() + endLimitMs
  for (const process of processes) {
    while (await isAlive(process)) {
      if (Date.now() > end) {
        throw new BerthError('TIMEOUT', `Process ${process.pid} was killed and does not end`, {
          hint: 'it waits in the kernel, for a disk or a network file system: look at its state with ps',
        })
      }
      await setTimeout(5)
    }
  }
}

async function isAlive(process: Process): Promise<boolean> {
  const now = await readProcess(process.pid)
  return now !== undefined && now.started === process.started && !now.zombie
}

async function kill(target: Process): Promise<void> {
  if (!(await isAlive(target))) return
  try {
    process.kill(target.pid, 'SIGKILL')
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error
  }
}
