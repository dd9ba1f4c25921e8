import { readdir, readFile, readlink } from 'node:fs/promises'
import { BerthError } from '../base/error.ts'
import type { ContainerRecord, PortSetting } from '../container/container.ts'

/** A process of the host that holds a port. */
interface PortOwner {
  readonly pid: number
  readonly program: string
}

type Wanted = Pick<PortSetting, 'hostIp' | 'hostPort' | 'protocol'>

/**
 * Refuses ports that somebody has, by name, before anything is pulled or made: a running container's, or a process's
 * with its PID. What is free now may be taken later; the bind at the start has the last word.
 */
export async function checkPorts(
  ports: readonly Wanted[],
  containers: readonly ContainerRecord[],
): Promise<void> {
  for (const port of ports.filter((p) => p.hostPort > 0)) {
    const holder = containers.find((c) =>
      c.ports.some(
        (p) => p.hostPort === port.hostPort && p.protocol === port.protocol && meet(p.hostIp, port.hostIp),
      ),
    )
    if (holder) {
      throw taken(port, `container "${holder.settings.name}" has it`, { container: holder.id })
    }
    const owner = await portOwner(port)
    if (owner) throw taken(port, `process "${owner.program}" (PID ${owner.pid}) has it`, { ...owner })
  }
}

/** The error for a port that is taken, with who has it when that can be found. */
export async function portTaken(port: Wanted): Promise<BerthError> {
  const owner = await portOwner(port)
  if (!owner) return taken(port, 'another process has it', {})
  return taken(port, `process "${owner.program}" (PID ${owner.pid}) has it`, { ...owner })
}

function taken(port: Wanted, who: string, details: Readonly<Record<string, unknown>>): BerthError {
  return new BerthError('CONFLICT', `Cannot publish port ${port.hostPort}/${port.protocol}: ${who}`, {
    hint: 'choose another port, or end who has it',
    details: { port: port.hostPort, protocol: port.protocol, ...details },
  })
}

const any = (address: string) => address === '' || address === '0.0.0.0' || address === '::'

const meet = (a: string, b: string) => any(a) || any(b) || a === b

/** Who listens on a port: its socket in /proc/net, then the process that has that socket open. */
async function portOwner({ hostIp, hostPort, protocol }: Wanted): Promise<PortOwner | undefined> {
  if (protocol === 'sctp') return undefined
  const tables = await Promise.all(
    [protocol, `${protocol}6`].map((name) => readFile(`/proc/net/${name}`, 'utf8').catch(() => '')),
  )
  const inodes = new Set(
    tables.flatMap((text) => socketsOn(text, { hostIp, hostPort, listening: protocol === 'tcp' })),
  )
  if (inodes.size === 0) return undefined
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const fds = await readdir(`/proc/${pid}/fd`).catch(() => [])
    for (const fd of fds) {
      const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')
      if (!inodes.has(/^socket:\[(\d+)\]$/.exec(target)?.[1] ?? '')) continue
      const program = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '?')).trim()
      return { pid: Number(pid), program }
    }
  }
  return undefined
}

interface Search {
  readonly hostIp: string
  readonly hostPort: number
  /** TCP: only sockets in the state LISTEN (0A). */
  readonly listening: boolean
}

/**
 * Inodes of the sockets of a /proc/net table that meet address and port. Lines:
 * `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode`, the address in hex, IPv4 little-endian.
 */
export function socketsOn(table: string, { hostIp, hostPort, listening }: Search): string[] {
  const port = hostPort.toString(16).toUpperCase().padStart(4, '0')
  return table
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/)
      const [address = '', localPort] = local.split(':')
      const isAny = /^0+$/.test(address)
      if (localPort !== port || (listening && state !== '0A')) return []
      if (!isAny && !any(hostIp) && (address.length > 8 || dotted(address) !== hostIp)) return []
      return [inode]
    })
}

const dotted = (hex: string) => [...Buffer.from(hex, 'hex')].reverse().join('.')
