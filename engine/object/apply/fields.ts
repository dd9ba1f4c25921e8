import { isRecord } from '../patch/merge.ts'
import { emptySet, type FieldSet, memberSet, nodeSet } from './field-set.ts'
import { itemElement, type Shape, valueElement } from './shape.ts'

/** The elements directly below a value, with the shape of each: fields, values of a set, items of a list. */
export function elementsOf(value: unknown, shape: Shape): Map<string, { value: unknown; shape: Shape }> {
  const out = new Map<string, { value: unknown; shape: Shape }>()
  if ((shape.type === 'struct' || shape.type === 'map') && isRecord(value)) {
    for (const [name, child] of Object.entries(value)) {
      if (child !== undefined) out.set(`f:${name}`, { value: child, shape: shape.field(name) })
    }
  } else if (shape.type === 'set' && Array.isArray(value)) {
    for (const child of value) out.set(valueElement(child), { value: child, shape: { type: 'leaf' } })
  } else if (shape.type === 'list' && Array.isArray(value)) {
    for (const child of value) out.set(itemElement(child, shape.keys), { value: child, shape: shape.item })
  }
  return out
}

/** Whether an element below a value of this shape is in a set by itself, not only by what is below it. */
function isOwnMember(shape: Shape, value: unknown): boolean {
  return shape.type !== 'struct' || (isRecord(value) && Object.keys(value).length === 0)
}

/** The paths that a configuration sets. */
export function fieldsOf(value: unknown, shape: Shape): FieldSet {
  if (shape.type === 'leaf') return memberSet
  if (value === null) return memberSet
  const children: [string, FieldSet][] = []
  for (const [element, child] of elementsOf(value, shape)) {
    const below = fieldsOf(child.value, child.shape)
    children.push([element, isOwnMember(shape, child.value) ? { ...below, member: true } : below])
  }
  return nodeSet(false, children)
}

/** What changed between two values of one shape. */
export interface Comparison {
  readonly added: FieldSet
  readonly modified: FieldSet
  readonly removed: FieldSet
}

const nothing: Comparison = { added: emptySet, modified: emptySet, removed: emptySet }

/** Compares leaf by leaf; what is new or gone counts with all that is below it. `same` compares leaves. */
export function compare(
  before: unknown,
  after: unknown,
  options: { readonly shape: Shape; same(a: unknown, b: unknown): boolean },
): Comparison {
  const { shape, same } = options
  if (before === after) return nothing
  if (shape.type === 'leaf') return same(before, after) ? nothing : { ...nothing, modified: memberSet }
  const left = elementsOf(before, shape)
  const right = elementsOf(after, shape)
  const added: [string, FieldSet][] = []
  const modified: [string, FieldSet][] = []
  const removed: [string, FieldSet][] = []
  for (const [element, child] of right) {
    const old = left.get(element)
    if (!old) {
      added.push([element, whole(element, child, shape)])
      continue
    }
    const below = compare(old.value, child.value, { shape: child.shape, same })
    added.push([element, below.added])
    modified.push([element, below.modified])
    removed.push([element, below.removed])
  }
  for (const [element, child] of left) {
    if (!right.has(element)) removed.push([element, whole(element, child, shape)])
  }
  return {
    added: nodeSet(false, added),
    modified: nodeSet(false, modified),
    removed: nodeSet(false, removed),
  }
}

/**
 * An element that is new or gone: itself and everything below. Lists and maps count too, where they were not there before,
 * as Kubernetes records for updates (`f:labels: {".": {}, …}`), but not for what a configuration applies.
 */
function whole(name: string, child: { value: unknown; shape: Shape }, parent: Shape): FieldSet {
  const children: [string, FieldSet][] = []
  for (const [element, below] of elementsOf(child.value, child.shape)) {
    children.push([element, whole(element, below, child.shape)])
  }
  const isRequired = parent.type === 'struct' && parent.required.includes(name.slice(2))
  const isContainer = child.shape.type !== 'struct' && !isRequired
  return nodeSet(isContainer || children.length === 0 || isOwnMember(parent, child.value), children)
}
