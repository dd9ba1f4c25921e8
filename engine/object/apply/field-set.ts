/**
 * A set of paths in an object, as `managedFields` has it. The wire form (FieldsV1) is a tree of path elements:
 *
 *   { "f:metadata": { "f:labels": { ".": {}, "f:app": {} } } }     .metadata.labels and .metadata.labels.app
 *
 * An element without children is itself in the set; one with children is when it has ".". Immutable.
 */
export interface FieldSet {
  readonly member: boolean
  readonly children: ReadonlyMap<string, FieldSet>
}

export const emptySet: FieldSet = { member: false, children: new Map() }
export const memberSet: FieldSet = { member: true, children: new Map() }

/** Whether no path is in it. */
export function isEmptySet(set: FieldSet): boolean {
  return !set.member && set.children.size === 0
}

/** The set with these children, those without any path left out. */
export function nodeSet(member: boolean, children: Iterable<readonly [string, FieldSet]>): FieldSet {
  const kept = new Map<string, FieldSet>()
  for (const [element, child] of children) if (!isEmptySet(child)) kept.set(element, child)
  return { member, children: kept }
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmptySet(a)) return b
  if (isEmptySet(b)) return a
  const children = new Map(a.children)
  for (const [element, child] of b.children) {
    children.set(element, union(children.get(element) ?? emptySet, child))
  }
  return { member: a.member || b.member, children }
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const children: [string, FieldSet][] = []
  for (const [element, child] of a.children) {
    const other = b.children.get(element)
    if (other) children.push([element, intersection(child, other)])
  }
  return nodeSet(a.member && b.member, children)
}

/** Paths of `a` that are not in `b`. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  const children: [string, FieldSet][] = []
  for (const [element, child] of a.children) {
    const other = b.children.get(element)
    children.push([element, other ? difference(child, other) : child])
  }
  return nodeSet(a.member && !b.member, children)
}

/** Paths of `a` that are neither in `b` nor below a path of `b`. */
export function recursiveDifference(a: FieldSet, b: FieldSet): FieldSet {
  if (b.member) return emptySet
  const children: [string, FieldSet][] = []
  for (const [element, child] of a.children) {
    const other = b.children.get(element)
    children.push([element, other ? recursiveDifference(child, other) : child])
  }
  return nodeSet(a.member, children)
}

export function sameSet(a: FieldSet, b: FieldSet): boolean {
  if (a.member !== b.member || a.children.size !== b.children.size) return false
  for (const [element, child] of a.children) {
    const other = b.children.get(element)
    if (!other || !sameSet(child, other)) return false
  }
  return true
}

/** FieldsV1 of a set. */
export function fieldsV1Of(set: FieldSet): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  if (set.member && set.children.size > 0) out['.'] = {}
  for (const [element, child] of [...set.children].sort(([a], [b]) => (a < b ? -1 : 1))) {
    out[element] = fieldsV1Of(child)
  }
  return out
}

/** Reads FieldsV1; what is no object counts as nothing. */
export function setOfFieldsV1(fields: unknown): FieldSet {
  if (typeof fields !== 'object' || fields === null) return emptySet
  return { ...readNode(fields as Record<string, unknown>), member: '.' in fields }
}

function readNode(fields: Record<string, unknown>): FieldSet {
  const children = new Map<string, FieldSet>()
  for (const [element, child] of Object.entries(fields)) {
    if (element !== '.' && typeof child === 'object' && child !== null) {
      children.set(element, readNode(child as Record<string, unknown>))
    }
  }
  return { member: children.size === 0 || '.' in fields, children }
}

/** Every path in the set, as conflicts name it: `.spec.containers[name="web"].image`. */
export function pathsOf(set: FieldSet, prefix = ''): string[] {
  const below = [...set.children].flatMap(([element, child]) => pathsOf(child, prefix + elementText(element)))
  return set.member && prefix !== '' ? [prefix, ...below] : below
}

function elementText(element: string): string {
  const rest = element.slice(2)
  if (element.startsWith('f:')) return `.${rest}`
  if (element.startsWith('v:')) return `[=${rest}]`
  if (element.startsWith('i:')) return `[${rest}]`
  const key = JSON.parse(rest) as Record<string, unknown>
  return `[${Object.entries(key)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(',')}]`
}
