import { BerthError } from '../base/error.ts'
import { suggest } from '../base/suggest.ts'
import { throwViolations, validatorOf, violations } from '../template/schema.ts'
import { readYaml, readYamlOne } from '../template/yaml.ts'
import { readArchive } from './archive.ts'
import { type Chart, type ChartFile, fileText, type Values } from './chart.ts'
import { checkDependencies } from './dependencies.ts'
import { type ChartMetadata, chartSchema } from './metadata.generated.ts'
import { mergeValues } from './values.ts'

/**
 * A chart from its files. Throws `INVALID` with file and line where Chart.yaml or values.yaml is wrong, and
 * `UNSUPPORTED` by name for what charts may ask of dependencies and berth does not do yet.
 */
export async function loadChart(files: readonly ChartFile[], origin: string): Promise<Chart> {
  const { metadata, warnings } = readMetadata(files, origin)
  const lock = fileText(files, 'Chart.lock')
  const schema = files.find((file) => file.name === 'values.schema.json')
  const known = new Set(['Chart.yaml', 'Chart.lock', 'values.yaml', 'values.schema.json'])
  if (metadata.apiVersion === 'v2') known.add('requirements.yaml').add('requirements.lock')
  const inCharts = files.filter(({ name }) => name.startsWith('charts/') && !name.endsWith('.prov'))
  const dependencies = await loadSubCharts(inCharts, origin)
  checkDependencies(metadata, dependencies, `${origin}/Chart.yaml`)
  return {
    metadata,
    lock: lock === undefined ? null : readYamlOne(lock, `${origin}/Chart.lock`).value,
    raw: files,
    templates: files.filter(({ name }) => name.startsWith('templates/')),
    files: files.filter(
      (file) => !known.has(file.name) && !file.name.startsWith('templates/') && !inCharts.includes(file),
    ),
    values: readValues(fileText(files, 'values.yaml') ?? '', `${origin}/values.yaml`),
    ...(schema ? { schema } : {}),
    dependencies,
    origin,
    warnings,
  }
}

function readMetadata(files: readonly ChartFile[], origin: string) {
  const text = fileText(files, 'Chart.yaml')
  if (text === undefined)
    throw new BerthError('INVALID', `Cannot load chart "${origin}": Chart.yaml file is missing`, {
      where: { file: origin },
      hint: 'a chart is a folder with a Chart.yaml, or such a folder packed as .tgz',
    })
  const file = `${origin}/Chart.yaml`
  const document = readYamlOne(text, file)
  const known = Object.keys(chartSchema.properties)
  const value = document.value
  const extra =
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.keys(value).filter((key) => !known.includes(key))
      : []
  // Helm passes over unknown fields and old charts have them; what looks mistyped is an error.
  const harmless = extra.filter((key) => suggest(key, known) === undefined)
  const checked =
    harmless.length === 0
      ? value
      : Object.fromEntries(Object.entries(value as object).filter(([key]) => !harmless.includes(key)))
  throwViolations(violations(validatorOf(chartSchema), checked), `chart "${origin}"`, { file, document })
  const metadata = checked as ChartMetadata
  const { appVersion, ...others } = metadata
  return {
    metadata: {
      ...others,
      apiVersion: metadata.apiVersion ?? ('v1' as const),
      ...(appVersion === undefined ? {} : { appVersion: String(appVersion) }),
    },
    warnings: harmless.map((key) => `${file}:${document.position([key]).line}: unknown field "${key}"`),
  }
}

/** The values of a values file: several documents are merged. Throws `INVALID` for anything but maps. */
export function readValues(text: string, file: string): Values {
  let values: Values = {}
  for (const document of readYaml(text, file)) {
    const { value } = document
    if (value === null || value === undefined) continue
    if (typeof value !== 'object' || Array.isArray(value)) {
      const { line } = document.position([])
      throw new BerthError(
        'INVALID',
        `Cannot read "${file}": values should be a map, are ${Array.isArray(value) ? 'a list' : JSON.stringify(value)}`,
        { where: { file, line } },
      )
    }
    values = mergeValues(values, value as Values)
  }
  return values
}

async function loadSubCharts(files: readonly ChartFile[], origin: string): Promise<Chart[]> {
  const groups = new Map<string, ChartFile[]>()
  for (const { name, ...file } of files) {
    const path = name.slice('charts/'.length)
    const [group = ''] = path.split('/', 1)
    if (/^[_.]/.test(group)) continue
    groups.set(group, [...(groups.get(group) ?? []), { ...file, name: path }])
  }
  const charts: Chart[] = []
  for (const [group, members] of [...groups].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const place = `${origin}/charts/${group}`
    const [first] = members
    if (group.endsWith('.tgz') && first)
      charts.push(await loadChart(await readArchive(first.content, place), place))
    else {
      const inside = members
        .filter(({ name }) => name.includes('/'))
        .map((file) => ({ ...file, name: file.name.slice(group.length + 1) }))
      if (inside.length > 0) charts.push(await loadChart(inside, place))
    }
  }
  return charts
}
