/**
 * Run by `npm ci`, under the machine's Node (20 or newer, so plain JavaScript): gives `npm run` its Node 24, then builds.
 *
 * npm links `node_modules/.bin/node`, but npm 9, Debian's, gives the name to the package of the other architecture,
 * which is not installed, and leaves no link.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const tools = fileURLToPath(new URL('.', import.meta.url))
const modules = join(tools, '../../node_modules')
const own = join(`node-linux-${process.arch}`, 'bin/node')
const link = join(modules, '.bin/node')
if (!existsSync(join(modules, own))) {
  console.error(`Error: Cannot build berth: node_modules/${own} is missing`)
  console.error('  hint   npm ci without --omit=optional, on Linux on x64 or arm64')
  process.exit(1)
}
if (!existsSync(link)) {
  mkdirSync(join(modules, '.bin'), { recursive: true })
  rmSync(link, { force: true })
  symlinkSync(join('..', own), link)
}
const built = spawnSync(link, [join(tools, 'build.ts')], { stdio: 'inherit' })
process.exit(built.status ?? 1)
