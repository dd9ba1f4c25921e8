import { BerthError } from '../../base/error.ts'
import type { KubeObject } from '../meta.ts'
import { schemaOf } from '../schema.ts'
import type { ManagedFieldsEntry } from '../types.generated.ts'
import {
  difference,
  emptySet,
  type FieldSet,
  intersection,
  isEmptySet,
  pathsOf,
  recursiveDifference,
  setOfFieldsV1,
  union,
} from './field-set.ts'
import { type Comparison, compare, fieldsOf } from './fields.ts'
import { entriesOf, type Manager, managersOf, managerText, sameManager } from './managers.ts'
import { mergeConfiguration, pruned } from './merge.ts'
import { type Shape, shapeOf } from './shape.ts'

export interface ApplyOptions {
  readonly manager: string
  /** Takes fields from other managers instead of refusing. */
  readonly force: boolean
  /** `status`, `scale`, or empty for the object itself. */
  readonly subresource: string
  /** RFC 3339. */
  readonly now: string
}

type Draft = Omit<KubeObject, 'metadata'> & { readonly metadata: KubeObject['metadata'] }

/** Fields that nobody owns: the store's, and those that name the object. */
const unowned = setOfFieldsV1({
  'f:apiVersion': {},
  'f:kind': {},
  'f:metadata': Object.fromEntries(
    [
      ...['name', 'namespace', 'creationTimestamp', 'selfLink', 'uid', 'generation', 'managedFields'],
      ...['resourceVersion', 'deletionTimestamp', 'deletionGracePeriodSeconds'],
    ].map((name) => [`f:${name}`, {}]),
  ),
})
const bareMetadata = setOfFieldsV1({ 'f:metadata': { '.': {} } })
const statusFields = setOfFieldsV1({ 'f:status': {} })

/**
 * Server-side apply: lays `config` over `live`, takes away what this manager applied before and no longer does, and
 * records who sets what. Throws `CONFLICT` (details.conflicts) when a changed field belongs to somebody else and
 * `force` is not given. `live` undefined makes the object. The result has `metadata.managedFields`, not yet defaults.
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/
 */
export function applied<T extends Draft>(live: T | undefined, config: T, options: ApplyOptions): T {
  if (config.metadata.managedFields?.length) {
    throw new BerthError('INVALID', 'metadata.managedFields must be nil')
  }
  const shape = kindShape(config)
  const base = (live ?? { apiVersion: config.apiVersion, kind: config.kind, metadata: {} }) as T
  const before = managersOf(base.metadata.managedFields)
  const me = identity(options, 'Apply', config.apiVersion)
  const mine = before.find((manager) => sameManager(manager, me))
  const set = owned(fieldsOf(config, shape), options.subresource)
  const merged = mergeConfiguration(base, config, shape)
  const others = before.filter((manager) => !sameManager(manager, me))
  const kept = others.reduce((all, { fields }) => union(all, fields), set)
  const next = (mine ? pruned(merged, mine.fields, { kept, config, shape }) : merged) as T
  const comparison = compare(base, next, { shape, same })
  const touched = union(comparison.modified, comparison.added)
  const conflicts = others
    .map((manager) => ({ manager, fields: intersection(manager.fields, touched) }))
    .filter(({ fields }) => !isEmptySet(fields))
  if (conflicts.length > 0 && !options.force) throw conflictError(conflicts)
  const left = others.map((manager) => without(manager, { ...comparison, modified: touched, added: touched }))
  const managers = [...left, { ...me, time: mine?.time, fields: set }]
  return withManagers(next, entriesOf(managers, { before, now: options.now }))
}

/**
 * The object after an update, patch or creation, with `metadata.managedFields` brought up to date: who changed a
 * field owns it. Managed fields in `next` that differ are taken (an empty list, or one with an empty entry, forgets
 * all owners).
 */
export function updated<T extends Draft>(
  live: T | undefined,
  next: T,
  options: Omit<ApplyOptions, 'force'>,
): T {
  const given = next.metadata.managedFields
  const isReset =
    given !== undefined &&
    (given.length === 0 || (given.length === 1 && Object.keys(given[0] ?? {}).length === 0))
  if (isReset && live) return withManagers(next, [])
  const shape = kindShape(next)
  const old = managersOf(live?.metadata.managedFields)
  const before = given?.length ? managersOf(given) : old
  const base = (live ?? { apiVersion: next.apiVersion, kind: next.kind, metadata: {} }) as T
  const comparison = compare(base, next, { shape, same })
  const me = identity(options, 'Update', next.apiVersion)
  const mine = before.find((manager) => sameManager(manager, me))
  const changed = owned(union(comparison.modified, comparison.added), options.subresource)
  const fields = difference(union(mine ? mine.fields : emptySet, changed), comparison.removed)
  const others = before.filter((manager) => !sameManager(manager, me))
  const left = others.map((manager) => without(manager, { ...comparison, modified: changed, added: changed }))
  const managers = [...left, { ...me, time: mine?.time, fields }]
  return withManagers(next, entriesOf(managers, { before: old, now: options.now }))
}

function identity(
  { manager, subresource }: Pick<ApplyOptions, 'manager' | 'subresource'>,
  operation: Manager['operation'],
  apiVersion: string,
): Omit<Manager, 'fields' | 'time'> {
  return { name: manager, operation, apiVersion, subresource }
}

/** What of a set can be owned: through the object itself not its status. */
function owned(set: FieldSet, subresource: string): FieldSet {
  const own = difference(recursiveDifference(set, unowned), bareMetadata)
  return subresource === '' ? recursiveDifference(own, statusFields) : own
}

function without(manager: Manager, { modified, removed }: Comparison): Manager {
  return { ...manager, fields: difference(recursiveDifference(manager.fields, removed), modified) }
}

function withManagers<T extends Draft>(object: T, entries: ManagedFieldsEntry[]): T {
  const { managedFields: _, ...metadata } = object.metadata
  return { ...object, metadata: entries.length > 0 ? { ...metadata, managedFields: entries } : metadata }
}

function kindShape({ apiVersion, kind }: Draft): Shape {
  return shapeOf(schemaOf(apiVersion, kind))
}

function same(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const left = Object.entries(a)
  const right = b as Record<string, unknown>
  return left.length === Object.keys(right).length && left.every(([key, value]) => same(value, right[key]))
}

function conflictError(conflicts: readonly { manager: Manager; fields: FieldSet }[]): BerthError {
  const all = conflicts
    .map(({ manager, fields }) => ({ manager: managerText(manager), paths: pathsOf(fields) }))
    .sort((a, b) => (a.manager < b.manager ? -1 : 1))
  const count = all.reduce((sum, { paths }) => sum + paths.length, 0)
  const text =
    count === 1
      ? `conflict with ${all[0]?.manager}: ${all[0]?.paths[0]}`
      : all
          .flatMap(({ manager, paths }) => [`conflicts with ${manager}:`, ...paths.map((p) => `- ${p}`)])
          .join('\n')
  return new BerthError('CONFLICT', `Apply failed with ${count} conflict${count === 1 ? '' : 's'}: ${text}`, {
    hint: 'apply the same values, leave the fields out, or force to take them over',
    details: {
      conflicts: all.flatMap(({ manager, paths }) =>
        paths.map((path) => ({ message: `conflict with ${manager}`, field: path })),
      ),
    },
  })
}
