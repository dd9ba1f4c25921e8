import { interleave } from '../patch/interleave.ts'
import { isRecord, setOwn } from '../patch/merge.ts'
import { emptySet, type FieldSet } from './field-set.ts'
import { elementsOf } from './fields.ts'
import { itemElement, type Shape, valueElement } from './shape.ts'

/** The live value with an applied configuration laid over it, by the shape's rules. */
export function mergeConfiguration(live: unknown, config: unknown, shape: Shape): unknown {
  if (config === undefined) return live
  if (live === undefined || live === null || config === null || shape.type === 'leaf') return config
  if (shape.type === 'struct' || shape.type === 'map') {
    if (!isRecord(live) || !isRecord(config)) return config
    const out: Record<string, unknown> = { ...live }
    for (const [name, child] of Object.entries(config)) {
      setOwn(
        out,
        name,
        mergeConfiguration(Object.hasOwn(live, name) ? live[name] : undefined, child, shape.field(name)),
      )
    }
    return out
  }
  if (!Array.isArray(live) || !Array.isArray(config)) return config
  const keyOf = (item: unknown) =>
    shape.type === 'list' ? itemElement(item, shape.keys) : valueElement(item)
  const present = new Map(live.map((item) => [keyOf(item), item as unknown]))
  const item: Shape = shape.type === 'list' ? shape.item : { type: 'leaf' }
  const wanted = new Map(config.map((c) => [keyOf(c), mergeConfiguration(present.get(keyOf(c)), c, item)]))
  const others = live.filter((one) => !wanted.has(keyOf(one)))
  return interleave([...wanted.values()], others, { before: live, keyOf })
}

export interface PruneOptions {
  /** What somebody sets, the new configuration included. */
  readonly kept: FieldSet
  /** The new configuration: a field that it names stays, empty too. */
  readonly config: unknown
  readonly shape: Shape
}

/**
 * The value without what `last` set and nobody in `kept` sets: fields, list items, set values. An item or a field
 * that goes takes with it what is below, defaults that nobody owns too.
 */
export function pruned(value: unknown, last: FieldSet, { kept, config, shape }: PruneOptions): unknown {
  const configured = elementsOf(config, shape)
  const below = (element: string, child: unknown, childShape: Shape) => {
    const before = last.children.get(element)
    if (!before) return child
    const now = kept.children.get(element)
    const named = shape.type === 'struct'
    const isSet = configured.has(element) || (now !== undefined && (now.member || named))
    if ((before.member || named) && !isSet) return undefined
    return pruned(child, before, {
      kept: now ?? emptySet,
      config: configured.get(element)?.value,
      shape: childShape,
    })
  }
  if (last.children.size === 0) return value
  if ((shape.type === 'struct' || shape.type === 'map') && isRecord(value)) {
    const out: Record<string, unknown> = {}
    for (const [name, child] of Object.entries(value)) {
      const left = below(`f:${name}`, child, shape.field(name))
      if (left !== undefined) setOwn(out, name, left)
    }
    return out
  }
  if (!Array.isArray(value)) return value
  if (shape.type === 'list') {
    return value
      .map((item) => below(itemElement(item, shape.keys), item, shape.item))
      .filter((item) => item !== undefined)
  }
  return value.filter((item) => below(valueElement(item), item, { type: 'leaf' }) !== undefined)
}
