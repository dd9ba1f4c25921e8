import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import manifest from '../../package.json' with { type: 'json' }

const run = promisify(execFile)
const top = join(import.meta.dirname, '../..')
let folder: string
let files: readonly string[]
let installed: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-package-'))
  // As `npm ci` has built it.
  const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]
  const { stdout } = await run('npm', pack, { cwd: top })
  const [packed] = JSON.parse(stdout) as { filename: string; files: { path: string }[] }[]
  files = packed?.files.map(({ path }) => path) ?? []
  installed = join(folder, 'installed')
  const install = ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund']
  await run('npm', [...install, '--prefix', installed, join(folder, packed?.filename ?? '')], { cwd: folder })
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

describe('the npm package', () => {
  it('holds bundles and the launchers of both architectures, and no sources', () => {
    expect(files).toEqual(
      expect.arrayContaining([
        'LICENSE',
        'cli/berth',
        'dist/berth.cjs',
        'dist/daemon.cjs',
        'dist/main.mjs',
        'engine/runtime/launcher/prebuilt/launcher-arm64',
        'engine/runtime/launcher/prebuilt/launcher-x64',
        'package.json',
      ]),
    )
    const own =
      /^(LICENSE|README\.md|package\.json|cli\/berth|dist\/[\w-]+\.[cm]js(\.LEGAL\.txt)?|engine\/runtime\/launcher\/prebuilt\/launcher-\w+)$/
    expect(files.filter((path) => !own.test(path))).toEqual([])
  })

  it('works once installed, without its scripts, under its own Node', async () => {
    const { stdout } = await run(join(installed, 'node_modules/.bin/berth'), ['version', '-o', 'json'])
    const node = manifest.optionalDependencies[`node-linux-${process.arch as 'x64' | 'arm64'}`]
    expect(JSON.parse(stdout)).toMatchObject({ version: manifest.version, node })
  })

  it('starts the daemon, with the prebuilt launcher', async () => {
    const run = join(folder, 'run')
    // In a network of its own: a bridge and a firewall's table are made at once.
    const script = 'ip link set lo up && exec "$0" "$@"'
    const berth = join(installed, 'node_modules/.bin/berth')
    const args = ['--net', 'sh', '-c', script, berth, 'daemon', '--root', join(folder, 'root'), '--run', run]
    const daemon = spawn('unshare', args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let log = ''
    const ready = new Promise<void>((resolve) => {
      daemon.stderr.on('data', (text) => {
        log += text
        if (log.includes('"ready"')) resolve()
      })
    })
    const ended = once(daemon, 'exit')
    await Promise.race([ready, ended])
    expect(await readdir(run), log).toContain('berth.sock')
    daemon.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
  })
})
