import { readFile, statfs } from 'node:fs/promises'
import { availableParallelism, hostname, networkInterfaces, release, totalmem } from 'node:os'
import { errnoOf } from '../base/error.ts'
import type { MachineFacts } from '../node/node-object.ts'
import { version } from './machine-facts.ts'

/** What the Node object says of this machine, read once at start. `root` lies on the disk that counts. */
export async function nodeFacts(root: string, own: string): Promise<MachineFacts> {
  const { blocks, bsize } = await statfs(root)
  return {
    name: hostname().toLowerCase(),
    address: ownAddress() ?? own,
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    cpuMilli: availableParallelism() * 1000,
    memoryBytes: totalmem(),
    diskBytes: blocks * bsize,
    osImage: /^PRETTY_NAME="?([^"\n]*)/m.exec(await text('/etc/os-release'))?.[1] ?? 'Linux',
    kernelVersion: release(),
    machineId: (await text('/etc/machine-id')).trim(),
    bootId: (await text('/proc/sys/kernel/random/boot_id')).trim(),
    version,
  }
}

/** The first IPv4 address by which others may reach the machine; berth's bridges do not count. */
function ownAddress(): string | undefined {
  return Object.entries(networkInterfaces())
    .filter(([name]) => !name.startsWith('berth'))
    .flatMap(([, addresses]) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address
}

/** A file's text; empty on a system without it. */
async function text(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return ''
    throw error
  })
}
