import type { Chart, Values } from './chart.ts'

/** Whether a value is a map of values (not a list, not null). */
export function isMap(value: unknown): value is Values {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

/** `over` laid over `base`: maps are merged, everything else is replaced. Neither is changed. */
export function mergeValues(base: Values, over: Values): Values {
  const merged: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const before = merged[key]
    put(merged, key, isMap(value) && isMap(before) ? mergeValues(before, value) : value)
  }
  return merged
}

/**
 * The values that a chart's templates see: the user's over the chart's own, and for each sub-chart its part, with
 * the globals. A user's null takes a default away. Helm 4.1's rules.
 */
export function coalesceValues(chart: Chart, given: Values): Values {
  const own = coalesceOwn(chart.values, given)
  const result: Record<string, unknown> = { ...own }
  for (const dependency of chart.dependencies) {
    const { name } = dependency.metadata
    const part = isMap(result[name]) ? (result[name] as Values) : {}
    const global = coalesceGlobals(result.global, part.global)
    put(result, name, coalesceValues(dependency, global === undefined ? part : { ...part, global }))
  }
  return result
}

/** Globals go down: the parent's win over the sub-chart's own. */
function coalesceGlobals(parent: unknown, own: unknown): Values | undefined {
  if (!isMap(parent)) return isMap(own) ? own : {}
  return isMap(own) ? mergeValues(own, parent) : parent
}

function coalesceOwn(defaults: Values, given: Values): Values {
  const result: Record<string, unknown> = { ...given }
  for (const [key, fallback] of Object.entries(defaults)) {
    if (!Object.hasOwn(given, key)) put(result, key, fallback)
    else if (given[key] === null) {
      // A null over a default takes it away; a null over a null is a null that the chart's author wrote.
      if (fallback !== null) delete result[key]
    } else if (isMap(given[key]) && isMap(fallback))
      put(result, key, coalesceOwn(fallback, given[key] as Values))
  }
  return result
}

/** Sets a key as its own property, whatever its name: `__proto__` too. */
function put(target: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true })
}
