/** Programs that tests look from outside with (nft, ip, busybox…), on any Debian machine, without installing them. */
import { constants } from 'node:fs'
import { access, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { unpackDebian } from './debian.ts'

/** How to start a program: its path, and the environment that it needs to find its libraries. */
export interface HostTool {
  readonly file: string
  readonly env: Readonly<Record<string, string>>
}

interface Source {
  readonly package: string
  readonly file?: string
  /** The package that has it where the first has not. */
  readonly elsewhere?: string
}

/** Which Debian package holds a program, and where its name is only made at installation, the file that it stands for. */
const packages = {
  busybox: { package: 'busybox-static' },
  brctl: { package: 'bridge-utils' },
  // Debian 13 has it in a package of its own.
  docker: { package: 'docker.io', elsewhere: 'docker-cli' },
  dockerd: { package: 'docker.io' },
  ip: { package: 'iproute2' },
  iptables: { package: 'iptables', file: 'iptables-nft' },
  ip6tables: { package: 'iptables', file: 'ip6tables-nft' },
  nft: { package: 'nftables' },
  'redis-server': { package: 'redis-server' },
} as const satisfies Record<string, Source>

const standard = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin']

/**
 * Finds a program in PATH, else unpacks its Debian package and that package's dependencies into berth's cache and
 * runs it from there.
 */
export async function hostTool(program: keyof typeof packages): Promise<HostTool> {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), ...standard]) {
    if (folder !== '' && folder !== links && (await isExecutable(join(folder, program))))
      return { file: join(folder, program), env: {} }
  }
  const source: Source = packages[program]
  for (const name of [source.package, source.elsewhere]) {
    const found = name && (await toolIn(await unpacked(name), source.file ?? program))
    if (found) return found
  }
  throw new Error(`Debian's package ${source.package} has no program ${source.file ?? program}`)
}

async function toolIn(root: string, file: string): Promise<HostTool | undefined> {
  const folders = ['usr/sbin', 'sbin', 'usr/bin', 'bin'].map((folder) => join(root, folder))
  const libraries = ['lib', 'usr/lib', `lib/${triplet()}`, `usr/lib/${triplet()}`]
  for (const folder of folders) {
    if (!(await isExecutable(join(folder, file)))) continue
    return {
      file: join(folder, file),
      env: {
        LD_LIBRARY_PATH: libraries.map((path) => join(root, path)).join(delimiter),
        XTABLES_LIBDIR: join(root, 'usr/lib', triplet(), 'xtables'),
        // What it starts in its turn lies beside it.
        PATH: [process.env.PATH, ...standard, links, ...folders].join(delimiter),
      },
    }
  }
  return undefined
}

const cache = join(homedir(), '.cache/berth/test-tools')
const links = join(cache, 'bin')

/**
 * For vitest's `globalSetup`: puts the programs that tests start by name into PATH, the machine's own first, so that
 * none is skipped for want of one.
 */
export async function setup(): Promise<void> {
  await mkdir(links, { recursive: true })
  for (const program of ['busybox', 'dockerd', 'ip', 'iptables', 'ip6tables', 'nft'] as const) {
    const { file, env } = await hostTool(program)
    const link = join(links, program)
    await rm(link, { force: true })
    if (Object.keys(env).length === 0) continue
    const lines = Object.entries(env).map(([name, value]) => `export ${name}="${value}"`)
    await writeFile(link, ['#!/bin/sh', ...lines, `exec ${file} "$@"`, ''].join('\n'), { mode: 0o755 })
  }
  process.env.PATH = [process.env.PATH, ...standard, links].join(delimiter)
}

/** The folder with a package's files, unpacked once: a half-made folder never gets the final name. */
async function unpacked(name: string): Promise<string> {
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
