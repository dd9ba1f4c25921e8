import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { exists } from './world.ts'

const run = promisify(execFile)
/** Debian bookworm has 1.29, which knows no `--wait`: trixie's, of its snapshot of the day, is self-contained. */
const version = '2.26.1-4'
const places = [
  '/usr/libexec/docker/cli-plugins/docker-compose',
  '/usr/lib/docker/cli-plugins/docker-compose',
  ...(process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'docker-compose')),
]

/** docker compose 2: the machine's, else Debian's, unpacked into berth's cache. */
export async function composeFile(): Promise<string> {
  for (const place of places) {
    if (!(await exists(place))) continue
    const { stdout } = await run(place, ['version', '--short']).catch(() => ({ stdout: '' }))
    if (/^v?[2-9]/.test(stdout)) return place
  }
  const cache = join(homedir(), '.cache/berth/peers')
  const target = join(cache, `docker-compose-${version}`)
  if (await exists(target)) return target
  console.log(`Fetching docker compose ${version} (Debian) into ${target}`)
  await mkdir(cache, { recursive: true })
  const folder = await mkdtemp(`${target}.`)
  try {
    const { stdout } = await run('dpkg', ['--print-architecture'])
    const file = `docker-compose_${version}_${stdout.trim()}.deb`
    const response = await fetch(`${await debianMirror()}/pool/main/d/docker-compose/${file}`)
    if (!response.ok) throw new Error(`Cannot fetch ${response.url}: ${response.status}`)
    const archive = join(folder, file)
    await writeFile(archive, Buffer.from(await response.arrayBuffer()))
    await run('dpkg-deb', ['-x', archive, folder])
    const { stdout: found } = await run('find', [
      folder,
      '-name',
      'docker-compose',
      '-type',
      'f',
      '-size',
      '+1M',
    ])
    const program = found.trim().split('\n')[0] ?? ''
    await chmod(program, 0o755)
    await rename(program, target)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return target
}

/** Where this machine's apt takes Debian from. */
async function debianMirror(): Promise<string> {
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(SITE)', 'Created-By: Packages'])
  const site = stdout.split('\n').find((line) => line.endsWith('/debian'))
  if (site === undefined)
    throw new Error('apt names no Debian mirror: install docker compose 2, or run apt-get update')
  return site
}
