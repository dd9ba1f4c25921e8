import { BerthError } from '../base/error.ts'
import type { Kind } from '../object/kinds.ts'
import { matches, parseSelector } from '../object/selector.ts'
import type { StoredObject } from '../store/object.ts'

/** Which objects of a kind a list or watch is about. */
export type Selection = (object: StoredObject) => boolean

/** Reads `labelSelector` and `fieldSelector`. Throws `INVALID` for a field that the kind does not offer. */
export function selectionOf(kind: Kind, query: URLSearchParams): Selection {
  const labels = parseSelector(query.get('labelSelector') ?? '')
  const fields = parseFieldSelector(kind, query.get('fieldSelector') ?? '')
  return (object) =>
    matches(labels, object.metadata.labels) &&
    fields.every(({ path, value, equal }) => (fieldText(object, path) === value) === equal)
}

interface FieldRequirement {
  readonly path: string
  readonly value: string
  readonly equal: boolean
}

/** `metadata.name=web,status.phase!=Running`; `\` escapes `,`, `=` and itself. */
function parseFieldSelector(kind: Kind, text: string): FieldRequirement[] {
  if (text.trim() === '') return []
  return text.split(/(?<!\\),/).map((term) => {
    const match = /^((?:[^=!\\]|\\.)*)(!=|==|=)(.*)$/s.exec(term)
    if (!match) {
      throw new BerthError('INVALID', `invalid selector: '${text}'; can't understand '${term}'`)
    }
    const [, path = '', operator, value = ''] = match
    if (!['metadata.name', 'metadata.namespace', ...kind.selectableFields].includes(path)) {
      throw new BerthError('INVALID', `field label not supported: ${path}`)
    }
    return { path, value: value.replace(/\\(.)/g, '$1'), equal: operator !== '!=' }
  })
}

/** Selectors whose name is not the path of the field. */
const renamed: Readonly<Record<string, string>> = {
  'status.successful': 'status.succeeded',
  'Event source': 'source.component',
}

function fieldText(object: StoredObject, path: string): string {
  const real = renamed[path] ?? renamed[`${object.kind} ${path}`] ?? path
  let value: unknown = object
  for (const part of real.split('.')) value = (value as Record<string, unknown> | undefined)?.[part]
  return value === undefined || value === null ? '' : String(value)
}
