import { definitions } from '../object/definitions.generated.ts'
import { apiVersionOf, type Kind } from '../object/kinds.ts'
import type { FieldSchema } from '../object/schema.ts'

type Json = Record<string, unknown>
type Descriptions = Readonly<Record<string, Readonly<Record<string, string>>>>

/** `/openapi/v3`: where the document of each group is. `version` changes when a document may have. */
export function openApiIndex(kinds: readonly Kind[], version: string): object {
  const paths: Json = {}
  for (const apiVersion of new Set(kinds.map(apiVersionOf))) {
    const path = pathOf(apiVersion)
    paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${encodeURIComponent(version)}` }
  }
  return { paths }
}

/**
 * `/openapi/v3/api/v1`, `/openapi/v3/apis/GROUP/VERSION`: the schemas, with Kubernetes' own descriptions for `kubectl explain`,
 * and the operations from which kubectl learns that the server validates fields and takes strategic merge patches.
 */
export async function openApiDocument(kinds: readonly Kind[], path: string): Promise<object | undefined> {
  const here = kinds.filter((kind) => pathOf(apiVersionOf(kind)) === path)
  if (here.length === 0) return undefined
  // 200 kB of text that only `kubectl explain` and its kin ask for.
  const { descriptions } = await import('./descriptions.generated.ts')
  const names = new Set<string>()
  for (const kind of here) reach(definitionOf(kind), names)
  const schemas: Json = {}
  for (const name of [...names].sort()) schemas[name] = described(name, descriptions)
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'v1.35.0' },
    paths: Object.fromEntries(here.flatMap((kind) => operations(kind, `/${path}`))),
    components: { schemas },
  }
}

function pathOf(apiVersion: string): string {
  return apiVersion.includes('/') ? `apis/${apiVersion}` : `api/${apiVersion}`
}

function definitionOf(kind: Kind): string {
  const found = Object.entries(definitions).find(([, schema]) =>
    schema['x-kubernetes-group-version-kind']?.some(
      (gvk) => gvk.kind === kind.kind && gvk.group === kind.group && gvk.version === kind.version,
    ),
  )
  return found?.[0] ?? kind.kind
}

function reach(name: string, names: Set<string>): void {
  if (names.has(name)) return
  names.add(name)
  const text = JSON.stringify(definitions[name] ?? {})
  for (const [, next] of text.matchAll(/"#\/\$defs\/([^"]+)"/g)) reach(next ?? '', names)
}

function described(name: string, descriptions: Descriptions): Json {
  const known = descriptions[name] ?? {}
  const schema = served(definitions[name] ?? {})
  const properties = schema.properties as Record<string, Json> | undefined
  return {
    ...(known[''] ? { description: known[''] } : {}),
    ...schema,
    ...(properties
      ? {
          properties: Object.fromEntries(
            Object.entries(properties).map(([field, child]) => [
              field,
              { ...(known[field] ? { description: known[field] } : {}), ...child },
            ]),
          ),
        }
      : {}),
  }
}

/** A definition as OpenAPI 3.0 writes it: references point into components, beside other keys they are in `allOf`. */
function served(schema: FieldSchema): Json {
  const out: Json = {}
  for (const [key, value] of Object.entries(schema)) {
    if (key === '$ref') {
      const $ref = String(value).replace('#/$defs/', '#/components/schemas/')
      if (Object.keys(schema).length === 1) return { $ref }
      out.allOf = [{ $ref }]
    } else if (key === 'items' || key === 'additionalProperties') {
      out[key] = typeof value === 'object' ? served(value as FieldSchema) : value
    } else if (key === 'properties') {
      out[key] = Object.fromEntries(
        Object.entries(value as Record<string, FieldSchema>).map(([name, child]) => [name, served(child)]),
      )
    } else out[key] = value
  }
  return out
}

const query = (name: string) => ({ name, in: 'query', schema: { type: 'string' } })

const patchTypes = [
  'application/apply-patch+yaml',
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
]

function operations(kind: Kind, root: string): [string, Json][] {
  const reference = { $ref: `#/components/schemas/${definitionOf(kind)}` }
  const gvk = { group: kind.group, version: kind.version, kind: kind.kind }
  const content = { 'application/json': { schema: reference } }
  const body = { content: { '*/*': { schema: reference } } }
  const responses = { 200: { description: 'OK', content } }
  const operation = (action: string, more: Json = {}): Json => ({
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk,
    parameters: ['dryRun', 'fieldManager', 'fieldValidation'].map(query),
    responses,
    ...more,
  })
  const collection = `${root}${kind.namespaced ? '/namespaces/{namespace}' : ''}/${kind.plural}`
  const patchBody = {
    content: Object.fromEntries(patchTypes.map((type) => [type, { schema: { type: 'object' } }])),
  }
  return [
    [collection, { get: operation('list'), post: operation('post', { requestBody: body }) }],
    [
      `${collection}/{name}`,
      {
        get: operation('get'),
        put: operation('put', { requestBody: body }),
        patch: operation('patch', { requestBody: patchBody }),
        delete: operation('delete'),
      },
    ],
  ]
}
