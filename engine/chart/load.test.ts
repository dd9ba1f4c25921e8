import { describe, expect, it } from 'vitest'
import { readArchive } from './archive.ts'
import type { Chart, ChartFile } from './chart.ts'
import { parseIgnore } from './ignore.ts'
import { loadChart, readValues } from './load.ts'
import { packChart } from './pack.ts'
import { checkSchema } from './schema.ts'
import { coalesceValues } from './values.ts'
import { compareVersions, newestVersion } from './version.ts'

const file = (name: string, text: string): ChartFile => ({
  name,
  content: Buffer.from(text),
  modifiedMs: 1_700_000_000_000,
})
const metadata = 'apiVersion: v2\nname: shop\nversion: 1.2.3\n'
const load = (...files: ChartFile[]) => loadChart(files, 'charts/shop')
const withYaml = (text: string) => load(file('Chart.yaml', text))

describe('loadChart', () => {
  it('says what is missing, wrong or mistyped, with file and line', async () => {
    await expect(load(file('values.yaml', ''))).rejects.toThrow('Chart.yaml file is missing')
    await expect(
      withYaml('apiVersion: v2\nname: shop\nversoin: 1.0.0\nversion: 1.0.0\n'),
    ).rejects.toMatchObject({
      message: expect.stringContaining('unknown field "versoin"'),
      where: { file: 'charts/shop/Chart.yaml', line: 3 },
      hint: 'did you mean "version"?',
    })
    await expect(withYaml('apiVersion: v2\nname: shop\nversion: one\n')).rejects.toMatchObject({
      message: expect.stringContaining('"version" is "one", should be a semantic version'),
      where: { line: 3 },
    })
    await expect(withYaml('apiVersion: v3\nname: shop\nversion: 1.0.0\n')).rejects.toThrow(
      'should be "v1" or "v2"',
    )
    await expect(withYaml('name: [\n')).rejects.toMatchObject({
      code: 'INVALID',
      where: { file: 'charts/shop/Chart.yaml' },
    })
    await expect(withYaml('- a\n')).rejects.toThrow('the document is a list, should be object')
    await expect(withYaml(`${metadata}type: operator\n`)).rejects.toThrow('"type" is "operator"')
  })

  it('passes over fields that nobody mistyped, and tells', async () => {
    const chart = await withYaml(`${metadata}engine: gotpl\nappVersion: 1.10\n`)
    expect(chart.warnings).toEqual(['charts/shop/Chart.yaml:4: unknown field "engine"'])
    expect(chart.metadata.appVersion).toBe('1.1')
  })

  it('names what dependencies ask for in vain', async () => {
    const dependency = (more: string) =>
      withYaml(`${metadata}dependencies: [{name: db, version: 1.0.0${more}}]\n`)
    await expect(dependency('')).rejects.toThrow('missing in charts/ directory: db')
    await expect(dependency(', condition: db.enabled')).rejects.toThrow(
      'its dependency "db" has "condition", which berth does not support yet',
    )
    await expect(dependency(', alias: x, tags: [a]')).rejects.toThrow('"tags" and "alias"')
  })

  it('loads sub-charts from folders and archives, and gives them their part of the values', async () => {
    const packed = await packChart(
      await loadChart(
        [
          file('Chart.yaml', 'apiVersion: v2\nname: cache\nversion: 0.1.0\n'),
          file('values.yaml', 'size: 1\n'),
        ],
        'cache',
      ),
    )
    const chart = await load(
      file('Chart.yaml', metadata),
      file('values.yaml', 'global: {zone: a}\ndb: {port: 2}\n'),
      file('charts/db/Chart.yaml', 'apiVersion: v2\nname: db\nversion: 0.1.0\n'),
      file('charts/db/values.yaml', 'port: 1\nuser: root\nglobal: {zone: b, other: c}\n'),
      { name: 'charts/cache-0.1.0.tgz', content: packed },
      file('charts/_hidden/x', ''),
    )
    expect(chart.dependencies.map((one) => one.metadata.name)).toEqual(['cache', 'db'])
    expect(coalesceValues(chart, { db: { user: null } })).toEqual({
      global: { zone: 'a' },
      db: { port: 2, global: { zone: 'a', other: 'c' } },
      cache: { size: 1, global: { zone: 'a' } },
    })
  })
})

describe('values', () => {
  it('are read as Go reads YAML', () => {
    const text =
      'yes: on\noct: 0644\noct2: 0o644\ntime: 12:30:45\nday: 2020-01-01\nn: 1_000\ndup: 1\ndup: 2\nb: &b {q: 1}\nm: {<<: *b, w: 2}\n1: x\n---\nlast: true\n'
    expect(readValues(text, 'values.yaml')).toEqual({
      true: true,
      oct: 420,
      oct2: 420,
      time: '12:30:45',
      day: '2020-01-01',
      false: 1000,
      dup: 2,
      b: { q: 1 },
      m: { q: 1, w: 2 },
      1: 'x',
      last: true,
    })
    expect(() => readValues('a: 1\nb: [1\nc: 2\n', 'v.yaml')).toThrow('Cannot read "v.yaml" as YAML')
    expect(() => readValues('- 1\n', 'v.yaml')).toThrow('values should be a map, are a list')
  })

  it('lose a default that is given as null, and keep a null of the chart', async () => {
    const chart = await load(
      file('Chart.yaml', metadata),
      file('values.yaml', 'a: {x: 1, z: 2}\nnone: null\n'),
    )
    expect(coalesceValues(chart, { a: { x: null } })).toEqual({ a: { z: 2 }, none: null })
    expect(coalesceValues(chart, { a: null })).toEqual({ none: null })
  })

  it.each([
    'http://json-schema.org/draft-04/schema#',
    'http://json-schema.org/draft-06/schema#',
    'http://json-schema.org/draft-07/schema#',
    'https://json-schema.org/draft/2019-09/schema',
    'https://json-schema.org/draft/2020-12/schema',
    undefined,
  ])('are held against a schema of %s', async (draft) => {
    const schema = JSON.stringify({
      ...(draft ? { $schema: draft } : {}),
      required: ['image'],
      properties: { replicas: { type: 'integer' } },
    })
    const chart = await load(file('Chart.yaml', metadata), file('values.schema.json', schema))
    expect(() => checkSchema(chart, { image: 'x', replicas: 1 })).not.toThrow()
    expect(() => checkSchema(chart, { replicas: 'x' })).toThrow(
      /shop:\n- at '': missing property 'image'\n- at '\/replicas': got string, want integer/,
    )
  })
})

describe('archives', () => {
  const chart = () =>
    load(
      file('Chart.yaml', `# comment\n${metadata}`),
      file('values.yaml', '# kept\na: 1\n'),
      file('templates/a.yaml', 'x: 1\n'),
      file('README.md', 'hi'),
    )
  const names = (files: readonly ChartFile[]) => files.map(({ name }) => name)

  it('are the same bytes each time and read back', async () => {
    const bytes = await packChart(await chart())
    expect(await packChart(await chart())).toEqual(bytes)
    const files = await readArchive(bytes, 'shop.tgz')
    expect(names(files)).toEqual(['Chart.yaml', 'values.yaml', 'templates/a.yaml', 'README.md'])
    const again: Chart = await loadChart(files, 'shop.tgz')
    expect(again.metadata).toEqual((await chart()).metadata)
    expect(Buffer.from(files[1]?.content ?? []).toString()).toBe('# kept\na: 1\n')
    expect(files[0]?.modifiedMs).toBe(1_700_000_000_000)
  })

  it('that are damaged, no archives or leave their folder are refused', async () => {
    const bytes = await packChart(await chart())
    await expect(readArchive(bytes.subarray(0, bytes.length / 2), 'x.tgz')).rejects.toThrow(
      'the archive is damaged',
    )
    await expect(readArchive(Buffer.from('a: 1\n'), 'x.yaml')).rejects.toThrow('it is not a gzipped archive')
    const evil = { ...(await chart()), files: [file('../../etc/passwd', 'x')] }
    await expect(readArchive(await packChart(evil), 'x.tgz')).rejects.toThrow("leaves the chart's folder")
  })
})

it('parseIgnore follows .helmignore', () => {
  const ignore = parseIgnore('# c\n*.bak\n/top.txt\nsub/*.md\n.git/\n', '.helmignore')
  expect(ignore('a/b.bak', false)).toBe(true)
  expect(ignore('top.txt', false)).toBe(true)
  expect(ignore('a/top.txt', false)).toBe(false)
  expect(ignore('sub/x.md', false)).toBe(true)
  expect(ignore('sub/y/x.md', false)).toBe(false)
  expect(ignore('.git', true)).toBe(true)
  expect(ignore('.git', false)).toBe(false)
  expect(ignore('templates/.swp', false)).toBe(true)
  expect(() => parseIgnore('a/**/b', 'x')).toThrow('double-star')
})

it('versions are ordered as semver.org has it', () => {
  const sorted = [
    '1.0.0-alpha',
    '1.0.0-alpha.1',
    '1.0.0-alpha.beta',
    '1.0.0-beta.2',
    '1.0.0-beta.11',
    '1.0.0',
    '1.0.1',
    '1.10.0',
  ]
  expect(sorted.toReversed().toSorted(compareVersions)).toEqual(sorted)
  expect(newestVersion(['1.0.0', '2.0.0-rc.1', 'latest', '1.2.0'])).toBe('1.2.0')
})
