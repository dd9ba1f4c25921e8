import { BerthError } from '../../base/error.ts'
import { type FieldSchema, fieldOf, resolved } from '../schema.ts'
import { interleave } from './interleave.ts'
import { isRecord, setOwn } from './merge.ts'

type Json = Record<string, unknown>

const setElementOrder = '$setElementOrder/'
const deleteFromPrimitiveList = '$deleteFromPrimitiveList/'

/**
 * Strategic merge patch: like a merge patch, but lists whose schema says `merge` are merged by their key.
 * Directives: `$patch: delete | replace | merge`, `$retainKeys`, `$setElementOrder/FIELD`,
 * `$deleteFromPrimitiveList/FIELD`. Gives a new value. Throws `INVALID` for a malformed patch.
 * https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
 */
export function strategicPatched(value: Json, patch: unknown, schema: FieldSchema): Json {
  if (!isRecord(patch))
    throw new BerthError('INVALID', 'Cannot read the strategic merge patch: it is not an object')
  return mergeMap(value, patch, schema)
}

function mergeMap(value: Json, patch: Json, schema: FieldSchema | undefined): Json {
  const { $patch: directive, $retainKeys: retain, ...fields } = patch
  if (directive === 'replace') return withoutDirectives(fields) as Json
  if (directive === 'delete') return {}
  if (directive !== undefined && directive !== 'merge') {
    throw new BerthError('INVALID', `Unknown patch directive $patch: ${JSON.stringify(directive)}`)
  }
  const out: Json = { ...value }
  if (retain !== undefined) {
    if (!Array.isArray(retain)) throw new BerthError('INVALID', '$retainKeys must be a list')
    for (const key of Object.keys(out)) if (!retain.includes(key)) delete out[key]
  }
  for (const [key, change] of Object.entries(fields)) {
    if (key.startsWith(deleteFromPrimitiveList)) {
      const name = key.slice(deleteFromPrimitiveList.length)
      const gone = listOf(change, key)
      if (Array.isArray(out[name])) out[name] = out[name].filter((item) => !gone.includes(item))
    } else if (!key.startsWith('$')) {
      if (change === null) delete out[key]
      else setOwn(out, key, mergeValue(out[key], change, schema && fieldOf(schema, key)))
    }
  }
  for (const [key, order] of Object.entries(fields)) {
    if (!key.startsWith(setElementOrder)) continue
    const name = key.slice(setElementOrder.length)
    if (!Array.isArray(out[name])) continue
    const mergeKey = schema && fieldOf(schema, name)?.['x-kubernetes-patch-merge-key']
    const before = Array.isArray(value[name]) ? value[name] : []
    setOwn(out, name, ordered(out[name], listOf(order, key), before, mergeKey))
  }
  return out
}

function mergeValue(value: unknown, change: unknown, schema: FieldSchema | undefined): unknown {
  if (isRecord(change)) return mergeMap(isRecord(value) ? value : {}, change, schema)
  if (!Array.isArray(change)) return change
  const strategies = schema?.['x-kubernetes-patch-strategy']?.split(',') ?? []
  if (!strategies.includes('merge')) return withoutDirectives(change)
  const mergeKey = schema?.['x-kubernetes-patch-merge-key']
  const before = Array.isArray(value) ? value : []
  if (mergeKey === undefined) return ordered([...new Set([...before, ...change])], change, before, undefined)
  return mergeList(before, change, { mergeKey, item: schema?.items && resolved(schema.items) })
}

function mergeList(
  before: readonly unknown[],
  patch: readonly unknown[],
  { mergeKey, item }: { readonly mergeKey: string; readonly item: FieldSchema | undefined },
): unknown[] {
  const items = patch.map((change) => {
    if (!isRecord(change))
      throw new BerthError('INVALID', 'A merged list in the patch holds what is not an object')
    return change
  })
  if (items.some((change) => change.$patch === 'replace')) {
    return items.filter((change) => change.$patch !== 'replace').map(withoutDirectives)
  }
  for (const change of items) {
    if (change[mergeKey] === undefined) {
      throw new BerthError(
        'INVALID',
        `map: ${JSON.stringify(change)} does not contain declared merge key: ${mergeKey}`,
      )
    }
  }
  const gone = new Set(items.filter((c) => c.$patch === 'delete').map((c) => keyText(c, mergeKey)))
  let out = before.filter((present) => !gone.has(keyText(present, mergeKey)))
  const changes = items.filter((change) => change.$patch !== 'delete')
  for (const change of changes) {
    const at = out.findIndex((present) => keyText(present, mergeKey) === keyText(change, mergeKey))
    const merged = mergeMap((at < 0 ? {} : out[at]) as Json, change, item)
    out = at < 0 ? [...out, merged] : out.with(at, merged)
  }
  return ordered(out, changes, before, mergeKey)
}

/** Items named by `order` in its order, the others where they were. */
function ordered(
  list: readonly unknown[],
  order: readonly unknown[],
  before: readonly unknown[],
  mergeKey: string | undefined,
): unknown[] {
  const keyOf = (item: unknown) => keyText(item, mergeKey)
  const place = new Map(order.map((item, i) => [keyOf(item), i]))
  const chosen = list
    .filter((item) => place.has(keyOf(item)))
    .sort((a, b) => (place.get(keyOf(a)) ?? 0) - (place.get(keyOf(b)) ?? 0))
  const others = list.filter((item) => !place.has(keyOf(item)))
  return interleave(chosen, others, { before, keyOf })
}

function keyText(item: unknown, mergeKey: string | undefined): string {
  return JSON.stringify(mergeKey !== undefined && isRecord(item) ? item[mergeKey] : item) ?? ''
}

function listOf(value: unknown, key: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new BerthError('INVALID', `${key} must be a list`)
  return value
}

/** What a patch puts where nothing was: its values without directives and nulls. */
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDirectives)
  if (!isRecord(value)) return value
  const out: Json = {}
  for (const [key, child] of Object.entries(value)) {
    if (!key.startsWith('$') && child !== null) setOwn(out, key, withoutDirectives(child))
  }
  return out
}
