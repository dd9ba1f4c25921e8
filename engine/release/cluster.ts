/** An object as the API has it. */
export interface ClusterObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly uid?: string
    readonly resourceVersion?: string
    readonly generation?: number
    readonly deletionTimestamp?: string
    readonly creationTimestamp?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    readonly ownerReferences?: readonly { readonly uid: string; readonly controller?: boolean }[]
    readonly [field: string]: unknown
  }
  readonly [field: string]: unknown
}

/** Which object; without a namespace for kinds that have none. */
export interface ObjectRef {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly namespace?: string
}

/**
 * The Kubernetes API as a release needs it: this machine's or a cluster's.
 *
 * Every call may be repeated: `apply` and `remove` are idempotent, `create` answers `ALREADY_EXISTS`. Reads see the
 * caller's own writes. Errors are `BerthError`; `NOT_FOUND` comes from `apply` and `create` when the namespace is
 * missing, never from `get` and `remove`.
 */
export interface Cluster {
  /** Whether a kind lives in namespaces; undefined for a kind that the API does not have. */
  namespaced(apiVersion: string, kind: string, signal: AbortSignal): Promise<boolean | undefined>
  get(ref: ObjectRef, signal: AbortSignal): Promise<ClusterObject | undefined>
  list(query: ListQuery, signal: AbortSignal): Promise<readonly ClusterObject[]>
  create(object: ClusterObject, signal: AbortSignal): Promise<ClusterObject>
  /** Server-side apply as `helm`; without `force`, `CONFLICT` when somebody else owns a field. */
  apply(object: ClusterObject, options: ApplyOptions, signal: AbortSignal): Promise<ClusterObject>
  /** Asks for removal; an object that is not there is removed already. */
  remove(ref: ObjectRef, options: { readonly cascade: Cascade }, signal: AbortSignal): Promise<void>
}

/** What becomes of an object's dependents when it is removed. */
export const cascades = ['background', 'foreground', 'orphan'] as const
export type Cascade = (typeof cascades)[number]

export interface ListQuery {
  readonly apiVersion: string
  readonly kind: string
  /** All namespaces when not given. */
  readonly namespace?: string
  readonly labelSelector?: string
}

export interface ApplyOptions {
  readonly force: boolean
  /** Only checks: nothing is written. */
  readonly dryRun?: boolean
}

/** `Deployment/web`, as errors and progress name an object. */
export function objectName({ kind, name }: { kind: string; name: string }): string {
  return `${kind}/${name}`
}

/** The reference to an object. */
export function refOf(object: ClusterObject): ObjectRef {
  const { name, namespace } = object.metadata
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    name,
    ...(namespace === undefined ? {} : { namespace }),
  }
}

/** What makes two references the same object: the version of its API does not. */
export function refKey({ apiVersion, kind, name, namespace }: ObjectRef): string {
  const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : ''
  return `${group}/${kind}/${namespace ?? ''}/${name}`
}
