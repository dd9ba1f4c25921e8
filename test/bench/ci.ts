import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { compete, lines } from './measure.ts'

const run = promisify(execFile)

/** `npm ci` of a fresh clone, which also builds, with npm's cache as it is. */
export async function measureCi(): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'bn-'))
  const clone = join(folder, 'berth')
  try {
    await run('git', ['clone', '--quiet', join(import.meta.dirname, '../..'), clone])
    const once = async () => {
      await run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: clone, maxBuffer: 64 << 20 })
    }
    const figures = await compete([{ name: 'npm ci', once }], 1, { warmUp: 0 })
    return ['a fresh clone made ready', ...lines(figures)]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
