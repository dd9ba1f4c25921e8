/**
 * One order out of two: `chosen` items keep their order, `others` keep theirs, and an item of `others` comes before a
 * chosen one where it did so in the order of before. This is how Kubernetes orders lists whose items have keys.
 *
 *   before a b c, chosen c d, others a b   →  a b c d
 *   before a b c, chosen c a, others b     →  b c a
 */
export function interleave<T>(
  chosen: readonly T[],
  others: readonly T[],
  options: { readonly before: readonly T[]; keyOf(item: T): string },
): T[] {
  const place = new Map(options.before.map((item, i) => [options.keyOf(item), i]))
  const out: T[] = []
  let i = 0
  let j = 0
  while (i < others.length || j < chosen.length) {
    const other = others[i]
    const next = chosen[j]
    if (other === undefined) out.push(chosen[j++] as T)
    else if (next === undefined) out.push(others[i++] as T)
    else {
      const left = place.get(options.keyOf(other))
      const right = place.get(options.keyOf(next))
      if (left !== undefined && right !== undefined && left < right) out.push(others[i++] as T)
      else out.push(chosen[j++] as T)
    }
  }
  return out
}
