import { enableCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { run } from './main.ts'

/** Set by the bundler: the folder of the bundles. This file only runs from there. */
declare const BERTH_DIST: string

// Not Node's default folder in /tmp: its name can be guessed, and root would run what lies there.
enableCompileCache(join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'berth/v8'))

// A closed pipe (`berth ps | head -1`) is no error: the reader has what it wanted.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

// Not a module that the bundler sees: it lies beside this file.
const main: Promise<{ run: typeof run }> = import(pathToFileURL(join(BERTH_DIST, 'main.mjs')).href)
main
  .then(({ run }) =>
    run(process.argv.slice(2), {
      stdout: process.stdout,
      stderr: process.stderr,
      env: process.env,
      // Opened on first use only.
      get stdin() {
        return process.stdin
      },
    }),
  )
  .then((code) => {
    process.exitCode = code
  })
