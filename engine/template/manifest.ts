import { BerthError, type SourcePosition } from '../base/error.ts'
import type { RenderedText } from './handlebars.ts'
import { readYaml, type YamlDocument, type YamlPath } from './yaml.ts'

/** A Kubernetes object as it was rendered. */
export interface ManifestObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly [field: string]: unknown
}

/** One document of a rendered file, with the way from its fields back to the template's lines. */
export interface ManifestDocument {
  /** `CHART/templates/FILE`, as Helm writes it after `# Source:`. */
  readonly source: string
  readonly text: string
  readonly kind: string
  readonly value: unknown
  position(path: YamlPath): SourcePosition
}

/** Where one document of several ends: as Helm splits, so that `--- # comment` separates too. */
const separator = /(?:^|\s*\n)---\s*/g

/** Cuts rendered text into its documents, as Helm does; empty ones are dropped. */
export function splitManifests(text: string): { text: string; line: number }[] {
  const found: { text: string; line: number }[] = []
  let start = 0
  const take = (end: number) => {
    const piece = text.slice(start, end)
    const trimmed = piece.trim()
    if (trimmed === '') return
    const lead = piece.length - piece.trimStart().length
    found.push({ text: trimmed, line: text.slice(0, start + lead).split('\n').length })
  }
  for (const match of text.matchAll(separator)) {
    take(match.index)
    start = match.index + match[0].length
  }
  take(text.length)
  return found
}

/** The documents of one rendered file. Throws `INVALID` with the template's file and line for bad YAML. */
export function readManifests(rendered: RenderedText, source: string, file: string): ManifestDocument[] {
  const lineOf = (line: number) => rendered.lines[line - 1] ?? rendered.lines.at(-1) ?? line
  return splitManifests(rendered.text).map(({ text, line }) => {
    let document: YamlDocument | undefined
    try {
      const documents = readYaml(text, file, line)
      document = documents[0]
      if (documents.length > 1)
        throw new BerthError('INVALID', `Cannot read "${file}": one document holds several`, {
          where: { file, line },
        })
    } catch (error) {
      if (error instanceof BerthError && error.where?.line !== undefined)
        throw new BerthError(error.code, error.message, {
          where: { ...error.where, line: lineOf(error.where.line) },
          ...(error.hint === undefined ? {} : { hint: error.hint }),
        })
      throw error
    }
    const value = document?.value
    if (value !== null && value !== undefined && (typeof value !== 'object' || Array.isArray(value)))
      throw new BerthError(
        'INVALID',
        `Cannot read "${file}": a document should be a map, is ${Array.isArray(value) ? 'a list' : JSON.stringify(value)}`,
        { where: { file, line: lineOf(line) } },
      )
    const kind = (value as { kind?: unknown } | null | undefined)?.kind
    return {
      source,
      text,
      kind: typeof kind === 'string' ? kind : '',
      value,
      position: (path) => {
        const place = document?.position(path)
        return { file, line: lineOf(place?.line ?? line), ...(place ? { column: place.column } : {}) }
      },
    }
  })
}
