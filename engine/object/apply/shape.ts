import { type FieldSchema, fieldOf, resolved } from '../schema.ts'

/**
 * How a value is owned and merged: `leaf` as a whole (scalars, atomic lists and maps), `struct` and `map` field by
 * field, `set` value by value, `list` item by item, told apart by `keys`.
 */
export type Shape =
  | { readonly type: 'leaf' }
  | {
      readonly type: 'struct' | 'map'
      /** Fields that are always there, if only as null. */
      readonly required: readonly string[]
      field(name: string): Shape
    }
  | { readonly type: 'set' }
  | { readonly type: 'list'; readonly keys: readonly string[]; readonly item: Shape }

const leaf: Shape = { type: 'leaf' }
const shapes = new WeakMap<FieldSchema, Shape>()

/** The shape that a schema gives to its values. */
export function shapeOf(schema: FieldSchema | undefined): Shape {
  if (!schema) return leaf
  const known = shapes.get(schema)
  if (known) return known
  const shape = makeShape(resolved(schema))
  shapes.set(schema, shape)
  return shape
}

function makeShape(schema: FieldSchema): Shape {
  if (schema.type === 'array') {
    const type = schema['x-kubernetes-list-type']
    if (type === 'set') return { type: 'set' }
    if (type !== 'map') return leaf
    return {
      type: 'list',
      keys: schema['x-kubernetes-list-map-keys'] ?? [],
      get item() {
        return shapeOf(schema.items)
      },
    }
  }
  if (schema['x-kubernetes-map-type'] === 'atomic') return leaf
  if (!schema.properties && !schema.additionalProperties) return leaf
  const fields = new Map<string, Shape>()
  return {
    type: schema.properties ? 'struct' : 'map',
    required: schema.required ?? [],
    field(name) {
      const known = fields.get(name)
      if (known) return known
      const made = shapeOf(fieldOf(schema, name))
      fields.set(name, made)
      return made
    },
  }
}

/** Keys of list items that may be left out; of all kinds only this one has a default. */
const keyDefaults: Readonly<Record<string, unknown>> = { protocol: 'TCP' }

/** The path element of a list's item, as `managedFields` writes it: `k:{"containerPort":80,"protocol":"TCP"}`. */
export function itemElement(item: unknown, keys: readonly string[]): string {
  const source = (typeof item === 'object' && item !== null ? item : {}) as Record<string, unknown>
  const key: Record<string, unknown> = {}
  for (const name of [...keys].sort()) key[name] = source[name] ?? keyDefaults[name] ?? null
  return `k:${JSON.stringify(key)}`
}

/** The path element of a set's value: `v:"x"`. */
export function valueElement(value: unknown): string {
  return `v:${JSON.stringify(value)}`
}
