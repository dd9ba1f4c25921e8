/**
 * Builds the launcher for machines without a C compiler: static musl binaries for x64 and arm64 with PyPI's `ziglang`
 * (pinned), and the digest of the sources that they were built from.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { launcherDigest } from './build.ts'

const zig = 'ziglang==0.14.1'
const targets = { x64: 'x86_64-linux-musl', arm64: 'aarch64-linux-musl' }

const sources = join(import.meta.dirname, '../../engine/runtime/launcher')
const digest = launcherDigest()
const folder = mkdtempSync(join(tmpdir(), 'berth-zig-'))
try {
  execFileSync('python3', ['-m', 'venv', join(folder, 'venv')], { stdio: 'inherit' })
  execFileSync(join(folder, 'venv/bin/pip'), ['install', '--quiet', '--disable-pip-version-check', zig], {
    stdio: 'inherit',
  })
  mkdirSync(join(sources, 'prebuilt'), { recursive: true })
  const files = readdirSync(sources)
    .filter((name) => name.endsWith('.c'))
    .sort()
    .map((name) => join(sources, name))
  for (const [arch, target] of Object.entries(targets)) {
    const output = join(sources, 'prebuilt', `launcher-${arch}`)
    const flags = ['-target', target, '-std=c11', '-O2', '-static', '-s', '-Wall', '-Wextra', '-Werror']
    execFileSync(join(folder, 'venv/bin/python'), ['-m', 'ziglang', 'cc', ...flags, '-o', output, ...files], {
      stdio: 'inherit',
      env: {
        ...process.env,
        ZIG_GLOBAL_CACHE_DIR: join(folder, 'cache'),
        ZIG_LOCAL_CACHE_DIR: join(folder, 'cache'),
      },
    })
  }
  if (launcherDigest() !== digest) throw new Error('The sources changed while they were built: build again')
  writeFileSync(join(sources, 'prebuilt', 'sources.sha256'), `${digest}\n`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
