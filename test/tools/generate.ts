import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile } from 'json-schema-to-typescript'

/**
 * Writes the TypeScript side of `schemas/`: each schema as a constant, which ajv compiles, and its types. With
 * `--check` nothing is written, and a file that is not fresh ends with exit code 1.
 */
interface Generated {
  /** File below `schemas/`. */
  readonly schema: string
  /** The generated file. */
  readonly out: string
  /** Name of the constant that holds the schema. */
  readonly constant: string
}

const table: readonly Generated[] = [
  { schema: 'app.json', out: 'engine/template/app/app.generated.ts', constant: 'appSchema' },
  { schema: 'chart.json', out: 'engine/chart/metadata.generated.ts', constant: 'chartSchema' },
  { schema: 'config.json', out: 'engine/daemon/config.generated.ts', constant: 'configSchema' },
]

const top = join(import.meta.dirname, '..', '..')
const check = process.argv.includes('--check')
const stale: string[] = []

for (const { schema, out, constant } of table) {
  const text = readFileSync(join(top, 'schemas', schema), 'utf8')
  const value = JSON.parse(text)
  const types = await compile(structuredClone(value), value.title, {
    bannerComment: '',
    additionalProperties: false,
    unreachableDefinitions: false,
    format: false,
  })
  const content = [
    `// Generated from schemas/${schema} by npm run gen. Do not edit.`,
    '',
    types.trim(),
    '',
    `export const ${constant} = ${JSON.stringify(value, null, 2)} as const`,
    '',
  ].join('\n')
  const path = join(top, out)
  if (check) {
    if (readFileSync(path, 'utf8') !== content) stale.push(out)
  } else writeFileSync(path, content)
}

if (stale.length > 0) {
  process.stderr.write(`Not fresh: ${stale.join(', ')}. Run npm run gen.\n`)
  process.exitCode = 1
}
