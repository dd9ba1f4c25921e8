/** `object` with `defaults` where a field is absent or an empty text, which Kubernetes takes for absent. */
export function fill<T extends object>(object: T | undefined, defaults: Partial<T>): T {
  const out: Record<string, unknown> = { ...object }
  for (const [key, value] of Object.entries(defaults)) {
    if ((out[key] === undefined || out[key] === '') && value !== undefined) out[key] = value
  }
  return out as T
}

/** `object` with `change` applied to its field `key`, if it has one. */
export function on<T extends object, K extends keyof T>(
  object: T,
  key: K,
  change: (value: NonNullable<T[K]>) => T[K],
): T {
  const value = object[key]
  return value === undefined || value === null ? object : { ...object, [key]: change(value) }
}
