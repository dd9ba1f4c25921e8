import { readFile } from 'node:fs/promises'
import type { CgroupLayout } from '../../runtime/oci/cgroups.ts'
import type { ContainerStats, ProcessTable } from '../container.ts'
import { parseFlat, parseNetDev, parsePsStat } from '../proc.ts'
import { processesIn } from './cgroups.ts'

const read = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '')
const number = (text: string): number => (/^\d+/.test(text) ? Number.parseInt(text, 10) : 0)

/** What a container uses now, from its cgroups and its network namespace. */
export async function readStats(
  layout: CgroupLayout,
  container: { id: string; pid: number; time: number },
): Promise<ContainerStats> {
  const file = (controller: string, name: string): Promise<string> => {
    const hierarchy = layout.hierarchies.find(({ controllers }) => controllers.includes(controller))
    return hierarchy
      ? read(`${hierarchy.mount}${layout.parent}/${container.id}/${name}`)
      : Promise.resolve('')
  }
  const networks = parseNetDev(await read(`/proc/${container.pid}/net/dev`))
  const parts = layout.version === 2 ? await statsV2(file) : await statsV1(file)
  const pids = number(await file('pids', 'pids.current'))
  const pidsLimit = number(await file('pids', 'pids.max'))
  return { time: container.time, pids, pidsLimit, ...parts, blkio: [], networks }
}

type Files = (controller: string, name: string) => Promise<string>
type Parts = Pick<ContainerStats, 'cpu' | 'memory'>

async function statsV1(file: Files): Promise<Parts> {
  const memory = parseFlat(await file('memory', 'memory.stat'))
  const cpu = parseFlat(await file('cpu', 'cpu.stat'))
  return {
    cpu: {
      totalNs: number(await file('cpuacct', 'cpuacct.usage')),
      userNs: number(await file('cpuacct', 'cpuacct.usage_user')),
      systemNs: number(await file('cpuacct', 'cpuacct.usage_sys')),
      periods: cpu.nr_periods ?? 0,
      throttledPeriods: cpu.nr_throttled ?? 0,
      throttledNs: cpu.throttled_time ?? 0,
    },
    memory: {
      usageBytes: number(await file('memory', 'memory.usage_in_bytes')),
      limitBytes: number(await file('memory', 'memory.limit_in_bytes')),
      cacheBytes: memory.total_inactive_file ?? 0,
      stats: memory,
    },
  }
}

async function statsV2(file: Files): Promise<Parts> {
  const memory = parseFlat(await file('memory', 'memory.stat'))
  const cpu = parseFlat(await file('cpu', 'cpu.stat'))
  const ns = (key: string) => (cpu[key] ?? 0) * 1000
  return {
    cpu: {
      totalNs: ns('usage_usec'),
      userNs: ns('user_usec'),
      systemNs: ns('system_usec'),
      periods: cpu.nr_periods ?? 0,
      throttledPeriods: cpu.nr_throttled ?? 0,
      throttledNs: ns('throttled_usec'),
    },
    memory: {
      usageBytes: number(await file('memory', 'memory.current')),
      limitBytes: number(await file('memory', 'memory.max')),
      cacheBytes: memory.inactive_file ?? 0,
      stats: memory,
    },
  }
}

/** The processes of a container as `docker top` shows them, with the host's ids. */
export async function readProcesses(layout: CgroupLayout, id: string): Promise<ProcessTable> {
  const hierarchy =
    layout.hierarchies.find(({ controllers }) => controllers.includes('pids')) ?? layout.hierarchies[0]
  const pids = hierarchy ? await processesIn(`${hierarchy.mount}${layout.parent}/${id}`) : []
  const [uptime = '0'] = (await read('/proc/uptime')).split(' ')
  const rows: string[][] = []
  for (const pid of pids) {
    const [stat, status, command] = await Promise.all(
      ['stat', 'status', 'cmdline'].map((name) => read(`/proc/${pid}/${name}`)),
    )
    // It may have ended meanwhile.
    if (stat && status) {
      rows.push(
        parsePsStat({
          pid,
          stat,
          status,
          command: command ?? '',
          uptimeSeconds: Number(uptime),
          now: Date.now(),
        }),
      )
    }
  }
  return { titles: ['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'], rows }
}
