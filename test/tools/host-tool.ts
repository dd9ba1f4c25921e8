/** Programs that tests look from outside with (nft, ip, busybox…), on any Debian machine, without installing them. */
import { constants } from 'node:fs'
import { access, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { unpackDebian } from './debian.ts'

/** How to start a program: its path, and the environment that it needs to find its libraries. */
export interface HostTool {
  readonly file: string
  readonly env: Readonly<Record<string, string>>
}

/** Which Debian package holds a program. */
const packages = {
  busybox: 'busybox-static',
  brctl: 'bridge-utils',
  ip: 'iproute2',
  iptables: 'iptables',
  nft: 'nftables',
  'redis-server': 'redis-server',
} as const

/**
 * Finds a program in PATH, else unpacks its Debian package and that package's dependencies into berth's cache and
 * runs it from there.
 */
export async function hostTool(program: keyof typeof packages): Promise<HostTool> {
  const standard = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin']
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), ...standard]) {
    if (folder !== '' && (await isExecutable(join(folder, program))))
      return { file: join(folder, program), env: {} }
  }
  const root = await unpacked(packages[program])
  const libraries = []
  for (const folder of ['lib', 'usr/lib', `lib/${triplet()}`, `usr/lib/${triplet()}`])
    libraries.push(join(root, folder))
  for (const folder of ['usr/sbin', 'sbin', 'usr/bin', 'bin']) {
    const file = join(root, folder, program)
    if (await isExecutable(file)) return { file, env: { LD_LIBRARY_PATH: libraries.join(delimiter) } }
  }
  throw new Error(`Debian's package ${packages[program]} has no program ${program}`)
}

/** The folder with a package's files, unpacked once: a half-made folder never gets the final name. */
async function unpacked(name: string): Promise<string> {
  const cache = join(homedir(), '.cache/berth/test-tools')
  const target = join(cache, name)
  try {
    await readdir(target)
    return target
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  await mkdir(cache, { recursive: true })
  const temporary = `${target}.${process.pid}`
  try {
    await unpackDebian([name], temporary)
    await rename(temporary, target)
  } catch (error) {
    await rm(temporary, { recursive: true, force: true })
    if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
  return target
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

function triplet(): string {
  return process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu'
}
