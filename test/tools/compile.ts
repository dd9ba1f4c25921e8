/** Compiles the example's program, on a machine without a C compiler too. */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { unpackDebian } from './debian.ts'

const run = promisify(execFile)
const flags = ['-std=c11', '-O2', '-static', '-s', '-pthread']

/** Compiles one C file to a static program: with the machine's `cc`, else with Debian's gcc, unpacked for this one call. */
export async function compileStatic(source: string, target: string): Promise<void> {
  try {
    await run('cc', [...flags, '-o', target, source])
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    await compileUnpacked(source, target)
  }
}

async function compileUnpacked(source: string, target: string): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'berth-gcc-'))
  try {
    await unpackDebian(['gcc', 'libc6-dev'], root)
    const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu'
    const parts = join(root, 'usr/lib/gcc', triplet)
    const [version = ''] = await readdir(parts)
    const env = {
      ...process.env,
      PATH: [join(root, 'usr/bin'), process.env.PATH].join(delimiter),
      LD_LIBRARY_PATH: [join(root, 'usr/lib', triplet), join(root, 'lib', triplet)].join(delimiter),
    }
    const args = [`--sysroot=${root}`, `-B${join(parts, version)}`, ...flags, '-o', target, source]
    await run(join(root, 'usr/bin/gcc'), args, { env })
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}
