import type { ObjectMeta, OwnerReference } from './types.generated.ts'

/** Any object of any kind, as far as the machinery around kinds needs to know it. */
export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
  readonly spec?: unknown
  readonly status?: unknown
}

/** The group of an `apiVersion`: `apps` of `apps/v1`, empty of `v1`. */
export function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : ''
}

/** The version of an `apiVersion`: `v1` of `apps/v1` and of `v1`. */
export function versionOf(apiVersion: string): string {
  return apiVersion.split('/').at(-1) ?? ''
}

/** The reference by which a controller owns what it makes: the garbage collector and adoption follow it. */
export function controllerReference(owner: KubeObject): OwnerReference {
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name ?? '',
    uid: owner.metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  }
}

/** The owner that controls an object, of which there is at most one. */
export function controllerOf(object: Pick<KubeObject, 'metadata'>): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller === true)
}

/** Whether `owner` controls `object`: by uid, so that a namesake made later does not. */
export function isControlledBy(object: Pick<KubeObject, 'metadata'>, owner: KubeObject): boolean {
  return controllerOf(object)?.uid === owner.metadata.uid
}

/** A Kubernetes time: RFC 3339 in whole seconds, UTC. */
export function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

/** A Kubernetes MicroTime, as Leases and Events carry it. */
export function microTimeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 23)}000Z`
}

/** Milliseconds of a Kubernetes time; undefined stays undefined. */
export function timeMs(text: string): number
export function timeMs(text: string | undefined): number | undefined
export function timeMs(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Date.parse(text)
}
