import { readdir, readFile, readlink } from 'node:fs/promises'
import { parseIpv4 } from '../address.ts'
import { type HostPort, isAnyAddress } from '../ports.ts'
import { socketOn } from '../proc-net.ts'

/** The process that has a port of this host (of this process's network namespace), if it can be found. */
export async function portOwner(port: HostPort): Promise<{ pid: number; name: string } | undefined> {
  const inode = await socketInode(port)
  if (inode === undefined) return undefined
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    if (!(await holds(pid, `socket:[${inode}]`))) continue
    const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim()
    return { pid: Number(pid), name }
  }
  return undefined
}

async function socketInode(port: HostPort): Promise<string | undefined> {
  if (port.protocol === 'sctp') return undefined
  const address = isAnyAddress(port.hostIp) ? undefined : parseIpv4(port.hostIp)
  for (const table of [port.protocol, `${port.protocol}6`]) {
    const text = await readFile(`/proc/net/${table}`, 'utf8').catch(() => '')
    const inode = socketOn(text, { address, port: port.hostPort, listening: port.protocol === 'tcp' })
    if (inode !== undefined) return inode
  }
  return undefined
}

async function holds(pid: string, link: string): Promise<boolean> {
  for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
    if ((await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')) === link) return true
  }
  return false
}
