/** What a test daemon holds on this machine, counted from outside. */
import { existsSync } from 'node:fs'
import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import type { TestDaemon } from '../tools/daemon.ts'

/** A GET on the daemon's socket, as JSON. */
export function apiGet<T>(daemon: TestDaemon, path: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: join(daemon.run, 'berth.sock'), path }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(parts).toString('utf8')
        if (response.statusCode === 200) resolve(JSON.parse(text))
        else reject(new Error(`GET ${path} answered ${response.statusCode}: ${text.slice(0, 200)}`))
      })
    })
    call.on('error', reject)
    call.end()
  })
}

export interface Census {
  /** Supervisors, what runs in containers, and relays of daemons that are gone. */
  readonly processes: number
  readonly mounts: number
  readonly links: number
  /** Elements of all sets and maps; chains and rules are kept for the next service that needs them. */
  readonly elements: number
  /** Below the one that the daemon keeps for itself. */
  readonly cgroups: number
  /** How many entries the folders have that grow and shrink with containers and pods. */
  readonly entries: Readonly<Record<string, number>>
}

/** Counts everything that could be left behind. */
export async function census(daemon: TestDaemon): Promise<Census> {
  const instance = (await readFile(join(daemon.root, 'instance'), 'utf8')).trim()
  return {
    processes: (await processes(daemon, instance)).length,
    mounts: (await mounts(daemon)).length,
    // Its first two lines are titles. `ip link` gives nothing when links change meanwhile.
    links: (await daemon.exec(['cat', '/proc/net/dev'])).stdout.trim().split('\n').length - 2,
    elements: elements(JSON.parse((await daemon.exec(['nft', '-j', 'list', 'ruleset'])).stdout)),
    cgroups: (await cgroups(instance)).length,
    entries: {
      sockets: await entries(join(daemon.run, 's')),
      namespaces: await entries(join(daemon.run, 'ns')),
      containers: await entries(join(daemon.root, 'containers')),
      pods: await entries(join(daemon.root, 'pods')),
      ingest: await entries(join(daemon.root, 'content/ingest')),
    },
  }
}

async function entries(folder: string): Promise<number> {
  return (await readdir(folder).catch(() => [])).length
}

/** How many descriptors a process has open. */
export async function descriptors(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length
}

/** Their PIDs. */
async function processes(daemon: TestDaemon, instance: string): Promise<number[]> {
  const { ino } = await stat(daemon.namespace)
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const title = (await readFile(`/proc/${name}/cmdline`, 'utf8')).split('\0')[0] ?? ''
      const net = await readlink(`/proc/${name}/ns/net`)
      const cgroup = await readFile(`/proc/${name}/cgroup`, 'utf8')
      const [, role, of = ''] = /^berth-(supervisor|relay)(?: of (\d+))?/.exec(title) ?? []
      const own =
        net === `net:[${ino}]` && (role === 'supervisor' || (role === 'relay' && !existsSync(`/proc/${of}`)))
      if (own || cgroup.includes(`berth-${instance}`)) found.push(Number(name))
    } catch {
      // It ended while it was looked at.
    }
  }
  return found
}

async function mounts(daemon: TestDaemon): Promise<string[]> {
  const lines = (await readFile('/proc/self/mounts', 'utf8')).split('\n')
  return lines.filter((line) => line.includes(`${daemon.folder}/`) || line.includes(`${daemon.root}/`))
}

function elements({ nftables }: { nftables: Record<string, { elem?: unknown[] }>[] }): number {
  return nftables.flatMap((entry) => Object.values(entry).flatMap(({ elem = [] }) => elem)).length
}

async function cgroups(instance: string): Promise<string[]> {
  const lines = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' '))
  const found: string[] = []
  for (const [, mount = '', type] of lines) {
    if (type !== 'cgroup' && type !== 'cgroup2') continue
    for (const name of await readdir(mount))
      if (name === `berth-${instance}`) found.push(...(await foldersBelow(join(mount, name))))
  }
  return found
}

/** All folders below one; what goes meanwhile is left out. */
async function foldersBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name))
  return [...folders, ...(await Promise.all(folders.map(foldersBelow))).flat()]
}
