import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { World } from './world.ts'

const restMs = 60_000
const watchMs = 10_000
const containers = 10
const ticksPerSecond = 100

/** What the daemon and its keeper and relays cost when nobody asks, and what each container's supervisor costs. */
export async function measureIdle(world: World): Promise<string[]> {
  const { daemon, docker } = await world.berth()
  await docker.cycle()
  const pid = await daemon.daemonPid()
  const keeper = await parentOf(pid)
  const before = await childrenOf(keeper)
  const ids = await Promise.all(Array.from({ length: containers }, () => docker.begin(['sleep', '600'])))
  await sleep(restMs)
  const [cpu, started] = [await cpuTicks(pid), Date.now()]
  await sleep(watchMs)
  const percent = ((await cpuTicks(pid)) - cpu) / ticksPerSecond / ((Date.now() - started) / 1000)
  const relays = await childrenOf(pid)
  const supervisors = (await childrenOf(keeper)).filter((child) => !before.includes(child))
  const each = (await Promise.all(supervisors.map(pssKb))).map((kb) => kb.total).sort((a, b) => a - b)
  const memory = await pssKb(pid)
  const helpers = await Promise.all([keeper, ...relays].map(pssKb))
  await Promise.all(ids.map((id) => docker.remove(id)))
  const mib = (kb: number) => `${(kb / 1024).toFixed(2)} MiB`
  return [
    `idle, ${restMs / 1000} s after the last request, ${containers} containers running`,
    `  daemon's PSS                                 ${mib(memory.total)} (of it anonymous ${mib(memory.anonymous)}; aim: 85)`,
    `  daemon's CPU over ${watchMs / 1000} s                        ${(100 * percent).toFixed(2)} % (aim: 0.5)`,
    `  keeper and ${relays.length} relays' PSS                     ${mib(helpers.reduce((sum, { total }) => sum + total, 0))}`,
    `  supervisor's PSS a container                 median ${mib(each[each.length >> 1] ?? 0)}, most ${mib(each.at(-1) ?? 0)} (aim: 1)`,
  ]
}

async function parentOf(pid: number): Promise<number> {
  return Number(/PPid:\s*(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1])
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.trim().split(' ').filter(Boolean).map(Number)
}

/** Memory that the process has, pages that it shares counted by their share. */
async function pssKb(pid: number): Promise<{ total: number; anonymous: number }> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
  const of = (key: string) => Number(new RegExp(`^${key}:\\s*(\\d+) kB`, 'm').exec(text)?.[1] ?? 0)
  return { total: of('Pss'), anonymous: of('Pss_Anon') }
}

/** User and system time, fields 14 and 15 of stat. */
async function cpuTicks(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}
