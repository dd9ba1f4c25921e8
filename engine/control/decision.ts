import { isDeepStrictEqual } from 'node:util'
import type { KindName } from '../object/kinds.ts'
import type { KubeObject } from '../object/meta.ts'
import type { View } from './view.ts'

/** The name of one object. */
export interface Key {
  readonly kind: KindName
  /** Empty for what lies in no namespace. */
  readonly namespace: string
  readonly name: string
}

/** The object that an event is about. */
export type Subject = Pick<KubeObject, 'apiVersion' | 'kind' | 'metadata'>

/** Tell of a write, once it is done, in an event about the owner: only then is a created object's name known. */
export interface Announcement {
  readonly about: Subject
  /** The controller's name, as `replicaset-controller`. */
  readonly source: string
}

/**
 * One change of the world that a controller wants, and why. The writer gives new objects their uid, creation time and
 * the random part of a `generateName`, and refuses an update of another resourceVersion than the object carries.
 */
export type Write =
  | {
      readonly verb: 'create'
      readonly object: KubeObject
      readonly announce?: Announcement
      readonly why: string
    }
  | {
      readonly verb: 'update'
      readonly object: KubeObject
      readonly subresource?: 'status'
      readonly why: string
    }
  | {
      readonly verb: 'delete'
      readonly key: Key
      /** Only this object, never a namesake that was made later. */
      readonly uid: string
      readonly propagation?: 'Background' | 'Foreground' | 'Orphan'
      readonly announce?: Announcement
      readonly why: string
    }
  | {
      readonly verb: 'event'
      readonly about: Subject
      readonly type: 'Normal' | 'Warning'
      readonly reason: string
      readonly message: string
      /** The controller's name, as `deployment-controller`. */
      readonly source: string
    }

export interface Decision {
  /** In this order; after one fails the rest are not tried. */
  readonly writes: readonly Write[]
  /** Look again at this time (ms), though nothing may have changed by then. */
  readonly again?: number
}

/**
 * One kind's controller. `reconcile` is pure: it sees the world through `view` and the time as `now`, and decides the
 * next writes; an empty list is the only meaning of "done".
 */
export interface Controller {
  readonly name: string
  reconcile(view: View, key: Key, now: number): Decision
  /** The keys to look at again after `object` came, changed or went. */
  affected(view: View, object: KubeObject): readonly Key[]
}

export const nothing: Decision = { writes: [] }

/** The key of an object. */
export function keyOf(object: KubeObject): Key {
  const { namespace = '', name = '' } = object.metadata
  return { kind: object.kind as KindName, namespace, name }
}

/** A key's text: unique, and for people. */
export function keyText(key: Key): string {
  return `${key.kind}/${key.namespace === '' ? '' : `${key.namespace}/`}${key.name}`
}

interface DeletionOptions {
  readonly propagation?: 'Background' | 'Foreground'
  readonly announce?: Announcement
}

/** The deletion of exactly this object. */
export function deletion(object: KubeObject, why: string, options: DeletionOptions = {}): Write {
  return { verb: 'delete', key: keyOf(object), uid: object.metadata.uid ?? '', ...options, why }
}

/** An update of an object's status, or nothing when it would change nothing. */
export function statusUpdate<T extends KubeObject>(
  object: T,
  status: T['status'],
  why: string,
): readonly Write[] {
  if (isDeepStrictEqual(status, object.status)) return []
  return [{ verb: 'update', subresource: 'status', object: { ...object, status }, why }]
}

/** The earlier of two times to look again. */
export function earlier(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : b === undefined ? a : Math.min(a, b)
}

/** A decision of writes and, perhaps, a time to look again. */
export function decide(writes: readonly Write[], again?: number): Decision {
  return again === undefined ? { writes } : { writes, again }
}
