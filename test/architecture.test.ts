import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { describe, expect, it } from 'vitest'

/** The rows of ARCHITECTURE.md: a folder imports rows below its own, never its own row's neighbours. */
const rows: readonly (readonly string[])[] = [
  ['cli', 'engine/daemon'],
  ['engine/gitops'],
  ['engine/release', 'engine/api'],
  ['engine/simulation'],
  ['engine/chart', 'engine/control', 'engine/node', 'engine/build'],
  ['engine/template', 'engine/container', 'engine/client'],
  ['engine/image', 'engine/registry'],
  ['engine/distribution', 'engine/network', 'engine/ingress', 'engine/volume'],
  ['engine/runtime'],
  ['engine/content'],
  ['engine/store'],
  ['engine/object'],
  ['engine/base'],
]

/** What `cli` may call in process; a daemon is reached through `engine/client` only. */
const cliMay = [
  'client',
  'chart',
  'template',
  'distribution',
  'registry',
  'runtime',
  'release',
  'object',
  'base',
  'content',
  'store',
  'image',
]

/** Folders that never import these, whatever the rows say: only `daemon` joins them. */
const never: Readonly<Record<string, readonly string[]>> = {
  'engine/control': ['engine/store'],
  'engine/node': ['engine/store'],
}

/** Folders whose files are effects throughout; everywhere else effects live in `host/`. */
const shells = [
  'cli',
  'engine/daemon',
  'engine/api',
  'engine/client',
  'engine/store',
  'engine/distribution',
  'engine/registry',
]
const effects =
  /^(node:(fs|net|http|https|child_process|worker_threads|dgram|dns|os|process|tls|readline|timers)(\/.*)?|undici)$/

/** Runtime dependencies; ARCHITECTURE.md gives a sentence of reason for each. */
const dependencies = [
  '@peculiar/x509',
  'ajv',
  'ajv-draft-04',
  'ajv-formats',
  'bcryptjs',
  'commander',
  'dns-packet',
  'fast-json-patch',
  'handlebars',
  'reflect-metadata',
  'tar-stream',
  'undici',
  'ws',
  'yaml',
]

const top = join(import.meta.dirname, '..')
const sources = ['cli', 'engine'].flatMap((folder) =>
  readdirSync(join(top, folder), { recursive: true, encoding: 'utf8' })
    .filter(
      (name) => name.endsWith('.ts') && !/\.(test|testkit)\.ts$/.test(name) && !name.includes('node_modules'),
    )
    .map((name) => join(folder, name)),
)

const folderOf = (path: string) => (path.startsWith('cli/') ? 'cli' : path.split('/').slice(0, 2).join('/'))
const rowOf = (folder: string) => rows.findIndex((row) => row.includes(folder))

function importsOf(path: string): string[] {
  const text = readFileSync(join(top, path), 'utf8')
  return [
    ...text.matchAll(/(?:^|\n)(?:import|export)\b[^'"]*?['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/g),
  ]
    .map((m) => m[1] ?? m[2] ?? '')
    .filter((s) => s !== '')
}

describe('architecture', () => {
  it('sees the sources', () => {
    expect(sources.length).toBeGreaterThan(5)
    for (const path of sources) expect(rowOf(folderOf(path)), path).toBeGreaterThanOrEqual(0)
  })

  it('imports go down the table only', () => {
    const wrong: string[] = []
    for (const path of sources) {
      const from = folderOf(path)
      for (const name of importsOf(path).filter((s) => s.startsWith('.'))) {
        const to = folderOf(relative('.', normalize(join(dirname(path), name))))
        if (to === from || to === 'package.json') continue
        const allowed =
          rowOf(to) > rowOf(from) &&
          !never[from]?.includes(to) &&
          (from !== 'cli' || cliMay.includes(to.replace('engine/', '')))
        if (!allowed) wrong.push(`${path} imports ${to}`)
      }
    }
    expect(wrong).toEqual([])
  })

  it('effects stay in host/ and in the shell folders', () => {
    const wrong = sources
      .filter((path) => !shells.includes(folderOf(path)) && !path.includes('/host/'))
      .flatMap((path) =>
        importsOf(path)
          .filter((s) => effects.test(s))
          .map((s) => `${path} imports ${s}`),
      )
    expect(wrong).toEqual([])
  })

  it('late packages of the command line have a file of their own', () => {
    // In pieces, the bundler loses the names of a CommonJS package that is imported late.
    const wrong = sources
      .filter((path) => !['engine/api', 'engine/daemon', 'engine/registry'].includes(folderOf(path)))
      .filter((path) =>
        /import\('(?!node:|\.)/.test(readFileSync(join(top, path), 'utf8').replace(/typeof import/g, '')),
      )
    expect(wrong).toEqual([])
  })

  it('runtime dependencies are the known list', () => {
    const manifest = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8'))
    expect(Object.keys(manifest.dependencies)).toEqual(dependencies)
  })
})
