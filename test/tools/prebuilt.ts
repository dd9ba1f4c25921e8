/**
 * Builds the launcher for machines without a C compiler: static musl binaries for x64 and arm64 with PyPI's `ziglang`
 * (pinned), and the digest of the sources that they were built from. The compiler stays in `~/.cache/berth`.
 */
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { launcherDigest } from './build.ts'

const version = '0.14.1'
const targets = { x64: 'x86_64-linux-musl', arm64: 'aarch64-linux-musl' }

const sources = join(import.meta.dirname, '../../engine/runtime/launcher')
const compiler = join(homedir(), '.cache/berth', `zig-${version}`)
const python = join(compiler, 'venv/bin/python')

function ensureCompiler(): void {
  if (existsSync(join(compiler, 'complete'))) return
  execFileSync('python3', ['-m', 'venv', '--clear', join(compiler, 'venv')], { stdio: 'inherit' })
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `ziglang==${version}`]
  execFileSync(python, install, { stdio: 'inherit' })
  writeFileSync(join(compiler, 'complete'), '')
}

ensureCompiler()
const folder = mkdtempSync(join(tmpdir(), 'berth-zig-'))
try {
  // One state of the sources for both: somebody may be at work on them.
  const copy = join(folder, 'launcher')
  const digest = launcherDigest()
  cpSync(sources, copy, { recursive: true })
  if (launcherDigest() !== digest) throw new Error('The sources changed while they were copied: build again')
  const files = readdirSync(copy)
    .filter((name) => name.endsWith('.c'))
    .sort()
  const cache = join(compiler, 'cache')
  for (const [arch, target] of Object.entries(targets)) {
    const flags = ['-target', target, '-std=c11', '-O2', '-static', '-s', '-Wall', '-Wextra', '-Werror']
    const output = join(folder, `launcher-${arch}`)
    execFileSync(python, ['-m', 'ziglang', 'cc', ...flags, '-o', output, ...files], {
      cwd: copy,
      stdio: 'inherit',
      env: { ...process.env, ZIG_GLOBAL_CACHE_DIR: cache, ZIG_LOCAL_CACHE_DIR: cache },
    })
  }
  const prebuilt = join(sources, 'prebuilt')
  mkdirSync(prebuilt, { recursive: true })
  for (const arch of Object.keys(targets))
    copyFileSync(join(folder, `launcher-${arch}`), join(prebuilt, `launcher-${arch}`))
  writeFileSync(join(prebuilt, 'sources.sha256'), `${digest}\n`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
