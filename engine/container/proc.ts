import type { ContainerStats } from './container.ts'

/** `KEY NUMBER` lines, as cgroups write their statistics. */
export function parseFlat(text: string): Record<string, number> {
  const values: Record<string, number> = {}
  for (const line of text.split('\n')) {
    const match = /^(\S+) (\d+)$/.exec(line)
    if (match?.[1]) values[match[1]] = Number(match[2])
  }
  return values
}

/** `/proc/PID/net/dev` without the loopback. */
export function parseNetDev(text: string): ContainerStats['networks'] {
  const networks: Record<string, ContainerStats['networks'][string]> = {}
  for (const line of text.split('\n')) {
    const match = /^\s*([^:\s]+):\s*(.*)$/.exec(line)
    if (!match?.[1] || match[1] === 'lo') continue
    const fields = (match[2] ?? '').trim().split(/\s+/).map(Number)
    const at = (i: number) => fields[i] ?? 0
    networks[match[1]] = {
      rxBytes: at(0),
      rxPackets: at(1),
      rxErrors: at(2),
      rxDropped: at(3),
      txBytes: at(8),
      txPackets: at(9),
      txErrors: at(10),
      txDropped: at(11),
    }
  }
  return networks
}

const ticksPerSecond = 100

/** One row of `ps -ef`: UID PID PPID C STIME TTY TIME CMD, from proc(5)'s files. */
export function parsePsStat(process: {
  readonly pid: number
  readonly stat: string
  readonly status: string
  readonly command: string
  readonly uptimeSeconds: number
  readonly now: number
}): string[] {
  const { stat } = process
  const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
  // Field 3 (state) is the first after the name, which may hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const field = (n: number) => Number(fields[n - 3] ?? 0)
  const cpuSeconds = (field(14) + field(15)) / ticksPerSecond
  const aliveSeconds = Math.max(0.01, process.uptimeSeconds - field(22) / ticksPerSecond)
  const started = new Date(process.now - aliveSeconds * 1000).toISOString()
  const tty = field(7)
  return [
    /^Uid:\s+(\d+)/m.exec(process.status)?.[1] ?? '?',
    String(process.pid),
    String(field(4)),
    String(Math.min(99, Math.floor((100 * cpuSeconds) / aliveSeconds))),
    started.slice(11, 16),
    tty === 0 ? '?' : `pts/${tty & 0xff}`,
    new Date(cpuSeconds * 1000).toISOString().slice(11, 19),
    process.command.split('\0').filter(Boolean).join(' ') || `[${name}]`,
  ]
}
