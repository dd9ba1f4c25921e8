import { setTimeout as sleep } from 'node:timers/promises'
import { isBerthError, messageOf } from '../../base/error.ts'
import type { Log } from '../../base/host/log.ts'
import type { ChangeRecord } from '../../store/history.ts'
import { keyOf, type StoredObject } from '../../store/object.ts'
import type { ObjectStore } from '../../store/objects.ts'
import { removeObject } from '../deletion.ts'
import { type CollectorStep, planCollection } from './plan.ts'

export interface CollectorOptions {
  readonly objects: ObjectStore
  readonly log: Log
}

const pauseAfterFailureMs = 1000

/**
 * Collects garbage until `signal` aborts: dependents of deleted owners, contents of namespaces that end. At the start
 * and after a gap in the changes everything is looked at once.
 */
export async function collectGarbage({ objects, log }: CollectorOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const changes = objects.watch({}, signal)
      await sweep(objects)
      for await (const change of changes) await follow(objects, change)
    } catch (error) {
      if (signal.aborted) return
      if (!isBerthError(error, 'GONE')) {
        log('error', 'collecting garbage failed', { error: messageOf(error) })
        await sleep(pauseAfterFailureMs, undefined, { signal }).catch(() => undefined)
      }
    }
  }
}

/** Everything once. */
async function sweep(objects: ObjectStore): Promise<void> {
  for (const kind of objects.groupKinds()) {
    for (const object of objects.list(kind)) await collect(objects, object)
  }
}

/** Whom a change may concern: the object, its owners, its dependents, its namespace. */
async function follow(objects: ObjectStore, { type, object }: ChangeRecord): Promise<void> {
  const { ownerReferences = [], namespace, uid } = object.metadata
  const concerned = ownerReferences.map((owner) => objects.byUid(owner.uid))
  if (type === 'DELETED') concerned.push(...objects.byOwner(uid))
  else concerned.push(objects.byUid(uid))
  if (namespace) concerned.push(objects.get({ groupKind: 'Namespace', namespace: '', name: namespace }))
  for (const one of concerned) if (one) await collect(objects, one)
}

async function collect(objects: ObjectStore, object: StoredObject): Promise<void> {
  for (const step of planCollection(object, objects)) {
    try {
      await executors[step.type](objects, step as never)
    } catch (error) {
      // Somebody else was faster; that change comes by and is looked at.
      if (!isBerthError(error, 'NOT_FOUND', 'CONFLICT')) throw error
    }
  }
}

const executors: {
  readonly [T in CollectorStep['type']]: (
    objects: ObjectStore,
    step: Extract<CollectorStep, { type: T }>,
  ) => Promise<unknown>
} = {
  remove: (objects, { object, foreground }) =>
    removeObject(objects, object, {
      propagationPolicy: foreground ? 'Foreground' : 'Background',
      preconditions: { uid: object.metadata.uid },
    }),
  disown: (objects, { object, owners }) =>
    objects.change(keyOf(object), (current) => {
      const left = current.metadata.ownerReferences?.filter(({ uid }) => !owners.includes(uid)) ?? []
      const { ownerReferences: _, ...metadata } = current.metadata
      return { ...current, metadata: left.length > 0 ? { ...metadata, ownerReferences: left } : metadata }
    }),
  finalize: (objects, { object, finalizer }) =>
    objects.change(keyOf(object), (current) => ({
      ...current,
      metadata: {
        ...current.metadata,
        finalizers: (current.metadata.finalizers ?? []).filter((name) => name !== finalizer),
      },
    })),
  'finish-namespace': (objects, { object }) =>
    objects.change(keyOf(object), (current) => ({ ...current, spec: { finalizers: [] } })),
}
