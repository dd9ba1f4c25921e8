/** Debian packages, downloaded and unpacked into a folder: nothing is installed on the machine. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/**
 * Unpacks Debian packages with everything they depend on below `target`, in seconds. apt works on private state and
 * cache folders with an empty list of installed packages, so the closure does not depend on the machine. Throws one
 * sentence when the machine has no apt.
 */
export async function unpackDebian(packages: readonly string[], target: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-apt-'))
  try {
    for (const name of ['lists/partial', 'archives/partial'])
      await mkdir(join(folder, name), { recursive: true })
    await writeFile(join(folder, 'status'), '')
    const options = {
      'Dir::State': folder,
      'Dir::State::lists': join(folder, 'lists'),
      'Dir::State::status': join(folder, 'status'),
      'Dir::Cache': folder,
      'Dir::Cache::archives': join(folder, 'archives'),
      'APT::Sandbox::User': 'root',
      'APT::Install-Recommends': 'false',
    }
    const flags = Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`])
    await apt([...flags, '-qq', 'update'])
    await apt([...flags, '-qq', '-y', '--download-only', 'install', ...packages])
    await mkdir(target, { recursive: true })
    for (const name of await readdir(join(folder, 'archives'))) {
      if (name.endsWith('.deb')) await run('dpkg-deb', ['-x', join(folder, 'archives', name), target])
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function apt(args: readonly string[]): Promise<void> {
  try {
    await run('apt-get', args, { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new Error(
        'The demo and test images are made from Debian packages and this machine has no apt-get',
      )
    }
    throw error
  }
}
