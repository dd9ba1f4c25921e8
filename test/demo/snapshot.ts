/** What a machine holds that a container engine could leave behind, seen from outside. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { HostTool } from '../tools/host-tool.ts'

export interface Snapshot {
  /** Processes in another mount or network namespace than this one, or that name one of the watched folders. */
  readonly processes: readonly string[]
  readonly mounts: readonly string[]
  readonly links: readonly string[]
  /** Tables and chains with their rules, as nft lists them, without counters' values and handles. */
  readonly nftables: readonly string[]
  readonly cgroups: readonly string[]
  /** Entries of the watched folders. */
  readonly files: readonly string[]
}

/** Takes a snapshot; `folders` are the root and run folders of the daemon under test, which need not exist. */
export function takeSnapshot(folders: readonly string[], nft: HostTool): Snapshot {
  return {
    processes: processes(folders),
    mounts: readFileSync('/proc/self/mounts', 'utf8').trim().split('\n').sort(),
    links: readdirSync('/sys/class/net').sort(),
    nftables: execFileSync(nft.file, ['-s', 'list', 'ruleset'], {
      env: { ...process.env, ...nft.env },
      encoding: 'utf8',
    })
      .split('\n')
      .filter((line) => line.trim() !== ''),
    cgroups: cgroups(),
    files: folders.flatMap((folder) => entries(folder)).sort(),
  }
}

/** Every difference between two snapshots, one line each; empty when nothing was left and nothing is missing. */
export function compareSnapshots(before: Snapshot, after: Snapshot): string[] {
  const differences: string[] = []
  for (const key of Object.keys(before) as (keyof Snapshot)[]) {
    const old = new Set(before[key])
    const now = new Set(after[key])
    for (const line of now) if (!old.has(line)) differences.push(`${key}: left behind: ${line}`)
    for (const line of old)
      if (!now.has(line) && key !== 'processes') differences.push(`${key}: gone: ${line}`)
  }
  return differences
}

function processes(folders: readonly string[]): string[] {
  const own = ['mnt', 'net'].map((kind) => readlinkSync(`/proc/self/ns/${kind}`))
  const found: string[] = []
  for (const pid of readdirSync('/proc').filter(
    (name) => /^\d+$/.test(name) && Number(name) !== process.pid,
  )) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
      const elsewhere = ['mnt', 'net'].some((kind, i) => readlinkSync(`/proc/${pid}/ns/${kind}`) !== own[i])
      // Supervisors and relays say what they are, not where they work.
      const named = command.startsWith('berth-') || folders.some((folder) => command.includes(folder))
      if (elsewhere || named) found.push(`${pid} ${startTime(pid)} ${command}`)
    } catch (error) {
      // It ended while it was looked at (ENOENT, ESRCH); kernel threads have no namespaces to read.
      if (!['ENOENT', 'ESRCH', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
  }
  return found.sort()
}

/** Field 22 of `/proc/PID/stat`: with the PID it names a process for ever. */
export function startTime(pid: number | string): string {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}

function cgroups(): string[] {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , type]) => type === 'cgroup' || type === 'cgroup2')
    .map(([, target = '']) => target)
  return mounts.flatMap((mount) => entries(mount, true).filter((path) => path.includes('berth'))).sort()
}

/** Paths below a folder, or only its folders; nothing when it does not exist. */
function entries(folder: string, foldersOnly = false): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) return [path, ...entries(path, foldersOnly)]
      return foldersOnly ? [] : [path]
    })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
