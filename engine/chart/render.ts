import { BerthError } from '../base/error.ts'
import { type AppSurroundings, expandApp } from '../template/app/expand.ts'
import { parseApp } from '../template/app/validate.ts'
import { HandlebarsEngine, type RenderedText, type TemplateSource } from '../template/handlebars.ts'
import { type Hook, hookOf } from '../template/hooks.ts'
import { type ManifestDocument, readManifests } from '../template/manifest.ts'
import { installOrder, sortByKind } from '../template/order.ts'
import { writeYaml } from '../template/yaml.ts'
import { type Capabilities, defaultCapabilities } from './capabilities.ts'
import { type Chart, type ChartFile, chartId, fileText, type Values } from './chart.ts'
import { checkSchema } from './schema.ts'
import { coalesceValues } from './values.ts'

/** What a rendering is for. Pure: the same options and chart give the same text. */
export interface RenderOptions {
  readonly release: {
    readonly name: string
    readonly namespace: string
    readonly revision: number
    readonly isUpgrade: boolean
  }
  /** The user's values. */
  readonly values: Values
  readonly capabilities?: Capabilities
  readonly skipSchema?: boolean
  existingSecret?: AppSurroundings['existingSecret']
  random: AppSurroundings['random']
}

/** A rendered chart: what to apply, what to run at events, what to tell. */
export interface Rendered {
  /** Documents in install order, hooks not among them. */
  readonly documents: readonly ManifestDocument[]
  readonly hooks: readonly Hook[]
  readonly notes: string
  /** The documents as Helm writes and records them. */
  readonly manifest: string
  /** Values as the templates saw them. */
  readonly values: Values
  readonly warnings: readonly string[]
}

/**
 * Renders a chart with its sub-charts: checks values against the schemas, renders templates, expands Apps, sorts
 * by kind and takes hooks apart. Throws `INVALID` or `UNSUPPORTED` with the template's file and line.
 */
export function renderChart(chart: Chart, options: RenderOptions): Rendered {
  if (chart.metadata.type === 'library')
    throw new BerthError(
      'INVALID',
      `Cannot install chart "${chart.metadata.name}": library charts are not installable`,
    )
  const values = coalesceValues(chart, options.values)
  if (!options.skipSchema) checkSchema(chart, values)
  const files = renderFiles(chart, { values, options, path: chart.metadata.name, root: true })
  files.sort((a, b) => (a.source < b.source ? -1 : a.source > b.source ? 1 : 0))
  const warnings = [...chart.warnings]
  const documents: ManifestDocument[] = []
  const hooks: Hook[] = []
  for (const file of files.filter(({ source }) => !isNotes(source))) {
    for (const document of readManifests(file.rendered, file.source, file.file)) {
      for (const one of isApp(document) ? expand(document, file, options) : [document]) {
        const hook = hookOf(one)
        if (hook === 'unknown') warnings.push(`${one.source}: unknown hook event, the document is left out`)
        else if (hook) hooks.push(hook)
        else documents.push(one)
      }
    }
  }
  const sorted = sortByKind(documents, installOrder)
  return {
    documents: sorted,
    hooks: sortByKind(hooks, installOrder),
    notes: files.find(({ source }) => isNotes(source) && source.split('/').length === 3)?.rendered.text ?? '',
    manifest: manifestText(sorted),
    values,
    warnings,
  }
}

/** Documents as `helm template` prints and records them. */
export function manifestText(
  documents: readonly { readonly source: string; readonly text: string }[],
): string {
  return documents.map(({ source, text }) => `---\n# Source: ${source}\n${text}\n`).join('')
}

interface RenderedTemplate {
  /** `CHART/templates/FILE`. */
  readonly source: string
  /** Where the template lies, for errors. */
  readonly file: string
  readonly rendered: RenderedText
  readonly chart: Chart
}

interface Scope {
  readonly values: Values
  readonly options: RenderOptions
  /** `CHART` or `CHART/charts/SUB`. */
  readonly path: string
  readonly root: boolean
}

function renderFiles(chart: Chart, scope: Scope): RenderedTemplate[] {
  const engine = engineOf(chart)
  const { options, values, path } = scope
  const { release } = options
  const files = Object.fromEntries(
    chart.files.map((file) => [file.name, Buffer.from(file.content).toString('utf8')]),
  )
  const context = (name: string) => ({
    Values: values,
    Release: {
      Name: release.name,
      Namespace: release.namespace,
      Revision: release.revision,
      IsUpgrade: release.isUpgrade,
      IsInstall: !release.isUpgrade,
      Service: 'Helm',
    },
    Chart: { ...goNames(chart.metadata), IsRoot: scope.root },
    Capabilities: options.capabilities ?? defaultCapabilities,
    Template: { Name: name, BasePath: `${path}/templates` },
    Files: files,
  })
  const own = chart.templates
    .filter(({ name }) => !baseName(name).startsWith('_') || isGoTemplate(chart, name))
    .filter(() => chart.metadata.type !== 'library')
    .map((template): RenderedTemplate => {
      const source = sourceOf(chart, template)
      const name = `${path}/${template.name}`
      const rendered = template.name.endsWith('.hbs')
        ? engine.render(source, context(name))
        : plainText(source, chart.metadata.name)
      return { source: name, file: source.file, rendered, chart }
    })
  const below = chart.dependencies.flatMap((dependency) => {
    const { name } = dependency.metadata
    return renderFiles(dependency, {
      ...scope,
      values: (values[name] ?? {}) as Values,
      path: `${path}/charts/${name}`,
      root: false,
    })
  })
  return [...own, ...below]
}

function engineOf(chart: Chart): HandlebarsEngine {
  const partials = new Map<string, TemplateSource>()
  for (const template of chart.templates) {
    const base = baseName(template.name)
    if (!base.startsWith('_') || !base.endsWith('.hbs')) continue
    const folder = template.name.slice('templates/'.length, template.name.length - base.length)
    partials.set(`${folder}${base.slice(1, -'.hbs'.length)}`, sourceOf(chart, template))
  }
  return new HandlebarsEngine(partials, (name) => fileText(chart.files, name))
}

function sourceOf(chart: Chart, template: ChartFile): TemplateSource {
  return { file: `${chart.origin}/${template.name}`, text: Buffer.from(template.content).toString('utf8') }
}

/** A partial of Go templates is refused as every Go template is, even though nothing renders it. */
function isGoTemplate(chart: Chart, name: string): boolean {
  return !name.endsWith('.hbs') && (fileText(chart.templates, name) ?? '').includes('{{')
}

/** A file of templates/ that is no template is taken as it is; one with `{{` would be rendered by Helm. */
function plainText({ file, text }: TemplateSource, chart: string): RenderedText {
  const before = text.indexOf('{{')
  if (before >= 0)
    throw new BerthError(
      'UNSUPPORTED',
      `Cannot render chart "${chart}": "${file}" is a Go template, and Go templates are not supported yet, only Handlebars templates that end in .hbs`,
      { where: { file, line: text.slice(0, before).split('\n').length } },
    )
  return { text, lines: text.split('\n').map((_, index) => index + 1) }
}

function isApp(document: ManifestDocument): boolean {
  const value = document.value as { apiVersion?: unknown } | null | undefined
  return (
    document.kind === 'App' &&
    typeof value?.apiVersion === 'string' &&
    value.apiVersion.startsWith('berth.dev/')
  )
}

function expand(
  document: ManifestDocument,
  file: RenderedTemplate,
  options: RenderOptions,
): ManifestDocument[] {
  const place = (path: readonly (string | number)[]) => {
    const { line = 1, column = 1 } = document.position(path)
    return { line, column }
  }
  const app = parseApp({ value: document.value, position: place }, file.file)
  const objects = expandApp(app, {
    release: options.release.name,
    namespace: options.release.namespace,
    chart: chartId(file.chart),
    file: (name) => fileText(file.chart.files, name),
    existingSecret: options.existingSecret ?? (() => undefined),
    random: options.random,
  })
  return objects.map(({ object, from }) => ({
    source: document.source,
    text: writeYaml(object),
    kind: object.kind,
    value: object,
    position: () => ({
      ...document.position(from),
      path: `App/${app.metadata.name} → ${object.kind}/${object.metadata.name}`,
    }),
  }))
}

/** Chart.yaml's fields as templates know them: `Name`, `AppVersion`. */
function goNames(metadata: Chart['metadata']): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(metadata).map(([key, value]) => [
      key === 'apiVersion' ? 'APIVersion' : key.charAt(0).toUpperCase() + key.slice(1),
      value,
    ]),
  )
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

function isNotes(source: string): boolean {
  return /(^|\/)NOTES(\.txt)?(\.hbs)?$/.test(source)
}
