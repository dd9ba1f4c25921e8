import type { ManagedFieldsEntry } from '../types.generated.ts'
import { type FieldSet, fieldsV1Of, isEmptySet, sameSet, setOfFieldsV1 } from './field-set.ts'

/** Who sets fields: one entry of `metadata.managedFields`. */
export interface Manager {
  readonly name: string
  readonly operation: 'Apply' | 'Update'
  readonly apiVersion: string
  readonly subresource: string
  readonly time: string | undefined
  readonly fields: FieldSet
}

/** Whether two entries are of one manager: an Apply and an Update by one name are two. */
export function sameManager(
  a: Omit<Manager, 'fields' | 'time'>,
  b: Omit<Manager, 'fields' | 'time'>,
): boolean {
  return (
    a.name === b.name &&
    a.operation === b.operation &&
    a.subresource === b.subresource &&
    (a.operation === 'Apply' || a.apiVersion === b.apiVersion)
  )
}

/** Reads `metadata.managedFields`; malformed entries count as none. */
export function managersOf(entries: readonly unknown[] | undefined): Manager[] {
  return (entries ?? []).flatMap((raw) => {
    const entry = (raw ?? {}) as ManagedFieldsEntry
    if (entry.operation !== 'Apply' && entry.operation !== 'Update') return []
    return [
      {
        name: entry.manager ?? '',
        operation: entry.operation,
        apiVersion: entry.apiVersion ?? '',
        subresource: entry.subresource ?? '',
        time: entry.time,
        fields: setOfFieldsV1(entry.fieldsV1),
      },
    ]
  })
}

/**
 * `metadata.managedFields` of these managers, sorted as Kubernetes does (Apply first, then by time and name). A
 * manager whose fields changed since `before` gets the time `now`; one that has none left is gone.
 */
export function entriesOf(
  managers: readonly Manager[],
  options: { readonly before: readonly Manager[]; readonly now: string },
): ManagedFieldsEntry[] {
  const { before, now } = options
  return managers
    .filter(({ fields }) => !isEmptySet(fields))
    .map((manager) => {
      const old = before.find((one) => sameManager(one, manager))
      return { ...manager, time: old && sameSet(old.fields, manager.fields) ? old.time : now }
    })
    .sort((a, b) => order(a).localeCompare(order(b), 'en'))
    .map(({ name, operation, apiVersion, subresource, time, fields }) => ({
      manager: name,
      operation,
      apiVersion,
      ...(time === undefined ? {} : { time }),
      fieldsType: 'FieldsV1',
      fieldsV1: fieldsV1Of(fields),
      ...(subresource === '' ? {} : { subresource }),
    }))
}

function order({ operation, time, name, subresource }: Manager): string {
  return [operation, time ?? '', name, subresource].join('\0')
}

/** How a conflict names a manager: `"kubectl-client-side-apply" using apps/v1`. */
export function managerText({ name, operation, apiVersion, subresource }: Manager): string {
  const where = subresource === '' ? '' : ` with subresource "${subresource}"`
  return `"${name}"${where}${operation === 'Update' ? ` using ${apiVersion}` : ''}`
}
