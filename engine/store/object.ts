/** An object as the store keeps it: deeply frozen. Every field beyond `metadata` is its kind's affair. */
export interface StoredObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: StoredMetadata
  readonly [field: string]: unknown
}

export interface StoredMetadata {
  readonly name: string
  readonly namespace?: string
  readonly uid: string
  readonly resourceVersion: string
  readonly creationTimestamp: string
  readonly generation?: number
  readonly deletionTimestamp?: string
  readonly deletionGracePeriodSeconds?: number
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly finalizers?: readonly string[]
  readonly ownerReferences?: readonly OwnerReference[]
  readonly managedFields?: readonly unknown[]
  readonly generateName?: string
}

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

/** An object as a caller writes it: what the store sets may be missing. */
export interface DraftObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Partial<StoredMetadata>
  readonly [field: string]: unknown
}

/** Where an object lies. `namespace` is empty for kinds without one. */
export interface ObjectKey {
  /** `Pod`, `Deployment.apps`: kind and group; the version is only an encoding. */
  readonly groupKind: string
  readonly namespace: string
  readonly name: string
}

/** `Deployment.apps` for `apps/v1` and `Deployment`, `Pod` for `v1` and `Pod`. */
export function groupKindOf(object: { readonly apiVersion: string; readonly kind: string }): string {
  const slash = object.apiVersion.indexOf('/')
  return slash < 0 ? object.kind : `${object.kind}.${object.apiVersion.slice(0, slash)}`
}

/** The key of an object that has a name. */
export function keyOf(object: {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name?: string; readonly namespace?: string }
}): ObjectKey {
  return {
    groupKind: groupKindOf(object),
    namespace: object.metadata.namespace ?? '',
    name: object.metadata.name ?? '',
  }
}

/** Freezes a JSON value and all below it. Stops at what is frozen already: unchanged parts are shared. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const child of Object.values(value)) deepFreeze(child)
  return value
}

/** RFC 3339 in whole seconds, as Kubernetes writes `metav1.Time`. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

/** Whether two JSON values are the same; a field that is undefined is one that is not there. */
export function jsonEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false
    return a.every((item, i) => jsonEqual(item, b[i]))
  }
  const left = a as Record<string, unknown>
  const right = b as Record<string, unknown>
  for (const key in left) if (!jsonEqual(left[key], right[key])) return false
  for (const key in right) if (right[key] !== undefined && left[key] === undefined) return false
  return true
}
