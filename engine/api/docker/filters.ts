import { BerthError } from '../../base/error.ts'
import { suggest } from '../../base/suggest.ts'

/** `filters=` of a list: each key with its values, any of which may hold; all keys have to. */
export type Filters = ReadonlyMap<string, readonly string[]>

/**
 * Reads docker's `filters` parameter, `{"status":["exited"]}` or the older `{"status":{"exited":true}}`. A key that
 * the list does not know is an error, as with dockerd.
 */
export function parseFilters(text: string | null, known: readonly string[]): Filters {
  const filters = new Map<string, readonly string[]>()
  if (text === null || text === '') return filters
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new BerthError('INVALID', 'Cannot read the filters of the request as JSON', { cause: error })
  }
  for (const [key, given] of Object.entries((value ?? {}) as Record<string, unknown>)) {
    if (!known.includes(key)) {
      const near = suggest(key, known)
      throw new BerthError(
        'INVALID',
        `invalid filter '${key}'`,
        near ? { hint: `did you mean "${near}"?` } : {},
      )
    }
    const values = Array.isArray(given)
      ? given.map(String)
      : Object.entries((given ?? {}) as Record<string, boolean>)
          .filter(([, on]) => on)
          .map(([name]) => name)
    if (values.length > 0) filters.set(key, values)
  }
  return filters
}

/** Whether any of the key's values passes; true when the key is not filtered. */
export function passes(filters: Filters, key: string, test: (value: string) => boolean): boolean {
  return filters.get(key)?.some(test) ?? true
}

/** `label=KEY` and `label=KEY=VALUE`; of several all have to hold. */
export function passesLabels(filters: Filters, labels: Readonly<Record<string, string>>): boolean {
  return (filters.get('label') ?? []).every((entry) => {
    const at = entry.indexOf('=')
    return at < 0 ? Object.hasOwn(labels, entry) : labels[entry.slice(0, at)] === entry.slice(at + 1)
  })
}

/** A value of docker's `name` filters: a regular expression, or, when it is none, a part of the name. */
export function matchesName(value: string, name: string): boolean {
  try {
    return new RegExp(value).test(name)
  } catch {
    return name.includes(value)
  }
}
