/**
 * The one gate: lint and format, types, fresh generated files, dead code, tests. Prints each step's outcome and, as
 * the last line, how many checks and tests passed and failed.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const top = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'berth-check-'))
const report = join(folder, 'tests.json')

const steps: readonly { readonly name: string; readonly command: readonly string[] }[] = [
  { name: 'lint and format', command: ['biome', 'ci', '.'] },
  { name: 'types', command: ['tsc', '--noEmit'] },
  { name: 'generated files are fresh', command: ['node', 'test/tools/generate.ts', '--check'] },
  { name: 'dead code', command: ['knip'] },
]

let passed = 0
let failed = 0

function step(name: string, command: readonly string[]): boolean {
  const [program = '', ...args] = command
  const started = Date.now()
  const result = spawnSync(program, args, { cwd: top, stdio: 'inherit' })
  const ok = result.status === 0
  process.stdout.write(`${ok ? 'ok  ' : 'FAIL'}  ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)\n`)
  return ok
}

for (const { name, command } of steps) {
  if (step(name, command)) passed++
  else failed++
}

const testsOk = step('tests', [
  'vitest',
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${report}`,
])
try {
  const counts = JSON.parse(readFileSync(report, 'utf8'))
  passed += counts.numPassedTests
  failed += counts.numFailedTests
  const skipped = counts.numPendingTests + counts.numTodoTests
  if (skipped > 0) process.stdout.write(`${skipped} tests skipped\n`)
  if (skipped > 0 && process.env.BERTH_REQUIRE_HOST === '1') failed += skipped
  if (!testsOk && counts.numFailedTests === 0) failed++
} catch (error) {
  process.stdout.write(`No test report: ${error}\n`)
  failed++
}
rmSync(folder, { recursive: true, force: true })
process.stdout.write(`${passed} passed, ${failed} failed\n`)
process.exitCode = failed === 0 ? 0 : 1
