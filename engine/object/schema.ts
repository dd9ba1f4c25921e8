import { BerthError } from '../base/error.ts'
import { definitions } from './definitions.generated.ts'
import { groupOf, type KubeObject, versionOf } from './meta.ts'
import { canonicalQuantity, parseQuantity } from './quantity.ts'

/** What `schemas/kubernetes.json` says of one field: JSON Schema, with Kubernetes' rules for merging lists and maps. */
export interface FieldSchema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean'
  readonly format?: string
  readonly properties?: Readonly<Record<string, FieldSchema>>
  readonly items?: FieldSchema
  readonly additionalProperties?: FieldSchema
  readonly required?: readonly string[]
  readonly oneOf?: readonly FieldSchema[]
  readonly $ref?: string
  /** Strategic merge patch: the field that tells a list's items apart. */
  readonly 'x-kubernetes-patch-merge-key'?: string
  /** `merge`, `retainKeys` or both with a comma; absent is `replace`. */
  readonly 'x-kubernetes-patch-strategy'?: string
  /** Server-side apply: how a list's items are told apart. */
  readonly 'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map'
  readonly 'x-kubernetes-list-map-keys'?: readonly string[]
  readonly 'x-kubernetes-map-type'?: 'atomic' | 'granular'
  readonly 'x-kubernetes-group-version-kind'?: readonly GroupVersionKind[]
}

interface GroupVersionKind {
  readonly group: string
  readonly version: string
  readonly kind: string
}

const byKind = new Map(
  Object.entries(definitions).flatMap(([name, schema]) =>
    (schema['x-kubernetes-group-version-kind'] ?? []).map(
      (gvk) => [`${gvk.group}/${gvk.version}/${gvk.kind}`, name] as const,
    ),
  ),
)

/** The schema of a kind, or undefined for one that berth does not know. */
export function schemaOf(apiVersion: string, kind: string): FieldSchema | undefined {
  const name = byKind.get(`${groupOf(apiVersion)}/${versionOf(apiVersion)}/${kind}`)
  return name === undefined ? undefined : definitions[name]
}

/** The name of the definition that a schema refers to: `PodSpec`. */
function definitionName(schema: FieldSchema): string | undefined {
  return schema.$ref?.slice('#/$defs/'.length)
}

/** The schema with its reference followed; list and patch rules beside the reference are kept. */
export function resolved(schema: FieldSchema): FieldSchema {
  const name = definitionName(schema)
  return name === undefined ? schema : { ...definitions[name], ...schema }
}

/** The schema of a field of an object or map, with its reference followed; undefined where there is no such field. */
export function fieldOf(schema: FieldSchema, name: string): FieldSchema | undefined {
  const { properties, additionalProperties } = resolved(schema)
  const field = properties ? properties[name] : additionalProperties
  return field && resolved(field)
}

export interface Decoded<T extends KubeObject> {
  readonly object: T
  /** Paths of fields that the kind does not have, such as `spec.template.spec.containers[0].imagee`; they are not in `object`. */
  readonly unknown: readonly string[]
}

/**
 * Reads an object of a known kind from JSON: nulls and unknown fields go, quantities get their canonical form, a value of a wrong
 * type throws `INVALID` with kube-apiserver's words. Own code instead of ajv: this returns the object without the unknown
 * fields, their paths, and Go's messages, in one pass.
 */
export function decode<T extends KubeObject>(input: unknown): Decoded<T> {
  const { apiVersion, kind } = readTypeMeta(input)
  const schema = schemaOf(apiVersion, kind)
  if (!schema) {
    throw new BerthError('NOT_FOUND', `no matches for kind "${kind}" in version "${apiVersion}"`)
  }
  const unknown: string[] = []
  const context = { unknown, root: { apiVersion, kind } }
  const object = readValue(input, schema, { path: '', goPath: '', struct: kind }, context)
  return { object: withMetadata(object as T), unknown }
}

const quantityMessage =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"

interface Place {
  readonly path: string
  /** Go names no indices: `spec.containers.name`. */
  readonly goPath: string
  /** The Go struct that holds the field. */
  readonly struct: string
}

interface Context {
  readonly unknown: string[]
  readonly root: { readonly apiVersion: string; readonly kind: string }
}

function readTypeMeta(input: unknown): { apiVersion: string; kind: string } {
  const { apiVersion, kind } = (isRecord(input) ? input : {}) as { apiVersion?: unknown; kind?: unknown }
  if (typeof kind !== 'string' || kind === '') {
    throw new BerthError('INVALID', `Object 'Kind' is missing in '${JSON.stringify(input)?.slice(0, 300)}'`)
  }
  if (typeof apiVersion !== 'string' || apiVersion === '') {
    throw new BerthError(
      'INVALID',
      `Object 'apiVersion' is missing in '${JSON.stringify(input).slice(0, 300)}'`,
    )
  }
  return { apiVersion, kind }
}

function withMetadata<T extends KubeObject>(object: T): T {
  return object.metadata === undefined ? { ...object, metadata: {} } : object
}

function readValue(value: unknown, schema: FieldSchema, place: Place, context: Context): unknown {
  const name = definitionName(schema)
  if (name === 'Quantity' && (typeof value === 'string' || typeof value === 'number')) {
    if (!parseQuantity(value)) throw wrongType(quantityMessage, place, context)
    return canonicalQuantity(value)
  }
  const shape = resolved(schema)
  if (shape.oneOf) {
    const good = shape.oneOf.some((one) => jsonType(value) === (one.type === 'integer' ? 'number' : one.type))
    if (!good) throw mismatch(value, name ?? 'string', place, context)
    return value
  }
  if (shape.type === 'array') {
    if (!Array.isArray(value)) throw mismatch(value, `[]${goType(shape.items ?? {})}`, place, context)
    const items = shape.items ?? {}
    return value.map((item, i) => readValue(item, items, { ...place, path: `${place.path}[${i}]` }, context))
  }
  if (shape.type === 'object') {
    if (!isRecord(value)) throw mismatch(value, name ? `v1.${name}` : 'map[string]string', place, context)
    return readObject(value, shape, { ...place, struct: name ?? place.struct }, context)
  }
  return readScalar(value, shape, place, context)
}

function readObject(value: Record<string, unknown>, shape: FieldSchema, place: Place, context: Context) {
  if (!shape.properties && !shape.additionalProperties) return value
  const out: Record<string, unknown> = {}
  for (const [key, child] of Object.entries(value)) {
    const path = place.path === '' ? key : `${place.path}.${key}`
    const schema = shape.properties ? shape.properties[key] : shape.additionalProperties
    if (!schema || !(shape.properties === undefined || Object.hasOwn(shape.properties, key))) {
      context.unknown.push(path)
    } else if (child !== null && child !== undefined) {
      const goPath = shape.properties ? (place.goPath === '' ? key : `${place.goPath}.${key}`) : place.goPath
      Object.defineProperty(out, key, {
        value: readValue(child, schema, { path, goPath, struct: place.struct }, context),
        enumerable: true,
        writable: true,
        configurable: true,
      })
    }
  }
  return out
}

function readScalar(value: unknown, shape: FieldSchema, place: Place, context: Context): unknown {
  const wanted = shape.type === 'integer' ? 'number' : shape.type
  if (jsonType(value) !== wanted) throw mismatch(value, goType(shape), place, context)
  if (shape.type === 'integer' && !Number.isSafeInteger(value)) {
    throw wrongType(
      `json: cannot unmarshal number ${value} into Go struct field ${field(place)} of type ${goType(shape)}`,
      place,
      context,
    )
  }
  const bad = shape.format === 'byte' ? badBase64At(String(value)) : undefined
  if (bad !== undefined) {
    throw wrongType(`illegal base64 data at input byte ${bad} (${place.path})`, place, context)
  }
  if (shape.format === 'date-time' && Number.isNaN(Date.parse(String(value)))) {
    throw wrongType(
      `parsing time ${JSON.stringify(value)} as "2006-01-02T15:04:05Z07:00": cannot parse at ${place.path}`,
      place,
      context,
    )
  }
  return value
}

/** Where a text stops being base64; undefined when it is. Line breaks do not count. */
function badBase64At(text: string): number | undefined {
  const body = text.replace(/[\r\n]/g, '')
  const good = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?/.exec(body)?.[0].length ?? 0
  if (good === body.length) return undefined
  return good + (/^[A-Za-z0-9+/]*/.exec(body.slice(good))?.[0].length ?? 0)
}

function mismatch(value: unknown, type: string, place: Place, context: Context): BerthError {
  const text = `json: cannot unmarshal ${jsonName(value)} into Go struct field ${field(place)} of type ${type}`
  return wrongType(text, place, context)
}

function wrongType(text: string, place: Place, { root }: Context): BerthError {
  const { apiVersion, kind } = root
  const version = versionOf(apiVersion)
  return new BerthError(
    'INVALID',
    `${kind} in version "${version}" cannot be handled as a ${kind}: ${text}`,
    {
      details: { field: place.path },
    },
  )
}

function field(place: Place): string {
  return `${place.struct}.${place.goPath}`
}

function goType(shape: FieldSchema): string {
  const name = definitionName(shape)
  if (name) return `v1.${name}`
  if (shape.type === 'integer') return shape.format ?? 'int64'
  if (shape.type === 'boolean') return 'bool'
  return shape.type === 'number' ? 'float64' : (shape.type ?? 'string')
}

function jsonType(value: unknown): string {
  return Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value
}

function jsonName(value: unknown): string {
  return typeof value === 'boolean' ? 'bool' : jsonType(value)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
