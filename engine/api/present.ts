import type { Column } from '../object/columns.ts'
import { apiVersionOf, type Kind } from '../object/kinds.ts'
import type { StoredObject } from '../store/object.ts'

/** How a client wants to see objects. */
export type View = 'object' | 'table' | 'metadata'

/** Reads `Accept`: the first form that berth can give. */
export function viewOf(accept: string | undefined): View {
  for (const range of (accept ?? '').split(',')) {
    const parameters = range.split(';').map((part) => part.trim())
    if (parameters[0] !== 'application/json') continue
    if (!parameters.includes('g=meta.k8s.io')) return 'object'
    if (parameters.includes('as=Table') && parameters.includes('v=v1')) return 'table'
    if (parameters.some((p) => p.startsWith('as=PartialObjectMetadata'))) return 'metadata'
  }
  return 'object'
}

export interface Presentation {
  readonly view: View
  readonly kind: Kind
  /** `Metadata` (default), `Object` or `None`: what a table's row carries. */
  readonly includeObject: string
  readonly now: number
}

/** One object in the form asked for. `headers` false leaves the columns of a table out, as later watch events do. */
export function presentOne(object: StoredObject, options: Presentation, headers = true): unknown {
  if (options.view === 'table') {
    return table([object], { resourceVersion: object.metadata.resourceVersion }, options, headers)
  }
  return options.view === 'metadata' ? partial(object) : object
}

export interface ListMetadata {
  readonly resourceVersion: string
  readonly continue?: string
  readonly remainingItemCount?: number
}

/** A list in the form asked for. */
export function presentList(
  objects: readonly StoredObject[],
  metadata: ListMetadata,
  options: Presentation,
): Readonly<Record<string, unknown>> {
  const { kind, view } = options
  if (view === 'table') return table(objects, metadata, options)
  if (view === 'metadata') {
    return {
      kind: 'PartialObjectMetadataList',
      apiVersion: 'meta.k8s.io/v1',
      metadata,
      items: objects.map(partial),
    }
  }
  return { kind: `${kind.kind}List`, apiVersion: apiVersionOf(kind), metadata, items: objects }
}

function partial({ metadata }: StoredObject): unknown {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata }
}

/** https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables */
function table(
  objects: readonly StoredObject[],
  metadata: ListMetadata,
  { kind, includeObject, now }: Presentation,
  headers = true,
): Readonly<Record<string, unknown>> {
  const columns = kind.columns as readonly Column<StoredObject>[]
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: headers
      ? columns.map(({ name, type, format, wide }) => ({
          name,
          type,
          format: format ?? '',
          description: name,
          priority: wide ? 1 : 0,
        }))
      : null,
    rows: objects.map((object) => ({
      cells: columns.map((column) => column.cell(object, now)),
      object: includeObject === 'None' ? null : includeObject === 'Object' ? object : partial(object),
    })),
  }
}
