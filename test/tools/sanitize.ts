/**
 * Runs the launcher's host tests on a build with AddressSanitizer and UndefinedBehaviorSanitizer: all roles, not static.
 *
 *   node test/tools/sanitize.ts [VITEST-ARGUMENT…]      default: engine/runtime
 *
 * A report ends the process that it is about, and lies in a file, because a supervisor's standard error is nobody's:
 * one file is a failure, whatever the tests say.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const top = join(import.meta.dirname, '../..')
const sources = join(top, 'engine/runtime/launcher')
const folder = mkdtempSync(join(tmpdir(), 'berth-sanitize-'))
const reports = join(folder, 'reports')
const launcher = join(folder, 'launcher')

try {
  mkdirSync(reports)
  // In the program and not in its environment, which is empty for a supervisor. What lives until the end is not freed,
  // and a process in namespaces of its own cannot be searched for it.
  const options = `log_path=${join(reports, 'report')}:detect_leaks=0:print_stacktrace=1:halt_on_error=1`
  const settings = join(folder, 'options.c')
  writeFileSync(
    settings,
    ['asan', 'ubsan']
      .map((name) => `const char *__${name}_default_options(void) { return "${options}"; }\n`)
      .join(''),
  )
  const files = readdirSync(sources)
    .filter((name) => name.endsWith('.c'))
    .map((name) => join(sources, name))
  const checks = [
    '-fsanitize=address,undefined',
    '-fno-sanitize-recover=all',
    '-fno-omit-frame-pointer',
    '-g',
  ]
  execFileSync(
    process.env.CC ?? 'cc',
    ['-std=c11', '-O1', ...checks, '-Wall', '-Wextra', '-Werror', '-o', launcher, ...files, settings],
    { stdio: 'inherit' },
  )
  const args = process.argv.slice(2)
  const tests = spawnSync(
    'vitest',
    ['run', '--project', 'host', ...(args.length > 0 ? args : ['engine/runtime'])],
    {
      cwd: top,
      stdio: 'inherit',
      env: { ...process.env, BERTH_LAUNCHER: launcher, BERTH_SANITIZED: '1', BERTH_TIME_SCALE: '3' },
    },
  )
  const found = readdirSync(reports)
  for (const name of found) process.stdout.write(`${readFileSync(join(reports, name), 'utf8')}\n`)
  process.stdout.write(`${found.length} sanitizer reports\n`)
  process.exitCode = tests.status === 0 && found.length === 0 ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
