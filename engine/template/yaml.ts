import {
  type Document,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  stringify,
} from 'yaml'
import { BerthError } from '../base/error.ts'

/** A step into a document: a map's key or a list's index. */
export type YamlPath = readonly (string | number)[]

/** One document of a YAML text, with the way back from a path to the line that wrote it. */
export interface YamlDocument {
  readonly value: unknown
  /** Line and column (from 1) of a path's key, or of the nearest parent that is written down. */
  position(path: YamlPath): { line: number; column: number }
}

/** Tags of YAML 1.1 that Go's reader does not know: times, binary, base-60 numbers. */
const unknownToGo = new Set(['tag:yaml.org,2002:timestamp', 'tag:yaml.org,2002:binary'])

const readOptions = {
  version: '1.1',
  merge: true,
  uniqueKeys: false,
  strict: true,
  logLevel: 'error',
  prettyErrors: false,
  customTags: (tags: unknown[]) => [
    octal,
    ...(tags as { tag?: string; format?: string }[]).filter(
      (tag) => typeof tag === 'string' || (tag.format !== 'TIME' && !unknownToGo.has(tag.tag ?? '')),
    ),
  ],
} as const

/** `0o644`, which Go reads beside YAML 1.1's `0644`. */
const octal = {
  tag: 'tag:yaml.org,2002:int',
  default: true,
  test: /^[-+]?0o[0-7_]+$/,
  resolve: (text: string) => {
    const sign = text.startsWith('-') ? -1 : 1
    return sign * Number.parseInt(text.replace(/^[-+]?0o/, '').replaceAll('_', ''), 8)
  },
}

/**
 * Reads a text of one or more documents as Go's `sigs.k8s.io/yaml` does: YAML 1.1 scalars without times, merge
 * keys, the last of two equal keys wins. Throws `INVALID` with file and line. `firstLine` is the text's place in
 * its file.
 */
export function readYaml(text: string, file: string, firstLine = 1): YamlDocument[] {
  const lines = new LineCounter()
  const source = text.startsWith('\uFEFF') ? text.slice(1) : text
  const documents = parseAllDocuments(source, { ...readOptions, lineCounter: lines } as object)
  if (!Array.isArray(documents)) return []
  return documents.map((document) => toDocument(document, file, { lines, firstLine }))
}

/** Reads a text that must be one document; an empty text is `undefined`. */
export function readYamlOne(text: string, file: string, firstLine = 1): YamlDocument {
  const documents = readYaml(text, file, firstLine)
  if (documents.length > 1) {
    const { line, column } = documents[1]?.position([]) ?? { line: 1, column: 1 }
    throw new BerthError('INVALID', `Cannot read "${file}": it holds more than one YAML document`, {
      where: { file, line, column },
    })
  }
  return documents[0] ?? { value: undefined, position: () => ({ line: firstLine, column: 1 }) }
}

function toDocument(
  document: Document.Parsed,
  file: string,
  place: { lines: LineCounter; firstLine: number },
): YamlDocument {
  const at = (offset: number) => {
    const { line, col } = place.lines.linePos(offset)
    return { line: Math.max(1, line) + place.firstLine - 1, column: Math.max(1, col) }
  }
  const fail = (message: string, offset: number): never => {
    const { line, column } = at(offset)
    throw new BerthError('INVALID', `Cannot read "${file}" as YAML: ${message}`, {
      where: { file, line, column },
    })
  }
  const error = document.errors[0]
  if (error) fail(firstSentence(error.message), error.pos[0])
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: 1000 })
  } catch (thrown) {
    fail(thrown instanceof Error ? thrown.message : String(thrown), document.range[0])
  }
  return { value, position: (path) => at(offsetOf(document, path)) }
}

function firstSentence(message: string): string {
  const [first = ''] = message.split('\n')
  return first.replace(/ at line \d+.*$/, '').replace(/[.:]$/, '')
}

/** Where a path's key begins; for a path that is not written, its nearest parent. */
function offsetOf(document: Document.Parsed, path: YamlPath): number {
  let node: unknown = document.contents
  let offset = document.contents?.range?.[0] ?? document.range[0]
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.findLast((item) => isPair(item) && keyText(item.key) === String(step))
      if (!pair) break
      offset = (pair.key as { range?: [number] }).range?.[0] ?? offset
      node = pair.value
    } else if (isSeq(node)) {
      const item = node.items[Number(step)] as { range?: [number] } | undefined
      if (!item) break
      offset = item.range?.[0] ?? offset
      node = item
    } else break
  }
  return offset
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : String(key)
}

/** A value as block YAML that every YAML 1.1 and 1.2 reader reads back the same; keys sorted, no final newline. */
export function writeYaml(value: unknown): string {
  return stringify(value, {
    version: '1.1',
    sortMapEntries: true,
    indentSeq: false,
    lineWidth: 0,
    aliasDuplicateObjects: false,
    singleQuote: false,
  }).replace(/\n$/, '')
}
