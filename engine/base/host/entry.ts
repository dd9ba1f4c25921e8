import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Set by the bundler: in `dist/` the folder of the bundle, undefined when the sources run. */
declare const BERTH_DIST: string | undefined

/** The checkout's or the installed package's top folder. */
export function packageRoot(): string {
  let folder = typeof BERTH_DIST === 'string' ? BERTH_DIST : dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
}

/**
 * A program of berth's own to start as a process or worker: the bundle `dist/NAME.cjs` when bundled, else the source
 * file, which Node 24 runs by stripping types.
 */
export function entryFile(name: string, source: string): string {
  return typeof BERTH_DIST === 'string' ? join(BERTH_DIST, `${name}.cjs`) : join(packageRoot(), source)
}
