import { randomInt } from 'node:crypto'
import { BerthError } from '../base/error.ts'
import type { Clock } from '../base/host/clock.ts'
import { systemClock } from '../base/host/clock.ts'
import { newUid } from '../base/host/id.ts'
import { type ChangeRecord, History, type Watcher, type WatchScope } from './history.ts'
import { Index } from './index-by.ts'
import { type Journal, MemoryJournal } from './journal.ts'
import { describe, isHeld, merged, tidy } from './merged.ts'
import {
  type DraftObject,
  deepFreeze,
  groupKindOf,
  jsonEqual,
  keyOf,
  type ObjectKey,
  type StoredMetadata,
  type StoredObject,
  timestamp,
} from './object.ts'

/** Kinds of the second file: many small writes whose last moments may be lost with the machine's power. */
const eventKinds = new Set(['Event', 'Event.events.k8s.io', 'Lease.coordination.k8s.io'])

/** Without vowels and look-alikes, as Kubernetes ends generated names. */
const nameAlphabet = 'bcdfghjklmnpqrstvwxz2456789'
const maxGeneratedBase = 58

export interface WriteOptions {
  /** Decides and checks everything, writes nothing. */
  readonly dryRun?: boolean
}

export interface CreateOptions extends WriteOptions {
  /** For writers that derive something from the uid; drawn when absent. */
  readonly uid?: string
}

export interface UpdateOptions extends WriteOptions {
  /** `main` keeps the status, `status` keeps all else (but managedFields), `all` (default) takes both. */
  readonly part?: 'all' | 'main' | 'status'
}

export interface DeleteOptions extends WriteOptions {
  readonly uid?: string
  readonly resourceVersion?: string
  /** More than 0: the object stays, marked, until somebody deletes it with 0 (a pod until its containers ended). */
  readonly graceSeconds?: number
  /** Finalizers to add (`foregroundDeletion`, `orphan`); those of the two not named are taken away. */
  readonly propagation?: 'foregroundDeletion' | 'orphan' | undefined
}

const propagationFinalizers = ['foregroundDeletion', 'orphan']

export interface ObjectStoreOptions {
  readonly journal?: Journal
  readonly objects?: readonly StoredObject[]
  readonly version?: number
  readonly reserved?: number
  readonly clock?: Clock
  readonly historyLimit?: number
}

/**
 * Kubernetes objects. Memory is authoritative: a write is decided and visible to `get`, `list` and `byOwner` at
 * once and gets the next resourceVersion; its promise settles, and watchers see it, after its commit, in order. Who
 * must not tell what could still be lost awaits `settled` after reading.
 *
 * The store knows what all kinds share (metadata, finalizers, deletion, namespaces); defaults and validation are the
 * writer's. It counts generations of objects that are made with one.
 */
export class ObjectStore {
  readonly #journal: Journal
  readonly #clock: Clock
  readonly #history: History
  readonly #index = new Index()
  #version: number

  constructor(options: ObjectStoreOptions = {}) {
    this.#journal = options.journal ?? new MemoryJournal()
    this.#clock = options.clock ?? systemClock
    const version = options.version ?? 0
    this.#version = Math.max(version, options.reserved ?? 0)
    this.#history = new History(version, options.historyLimit)
    for (const object of options.objects ?? []) this.#index.put(deepFreeze(object))
  }

  /** The resourceVersion that memory has reached: that of a list taken now. */
  get version(): number {
    return this.#version
  }

  get(key: ObjectKey): StoredObject | undefined {
    return this.#index.get(key)
  }

  /** Sorted by namespace and name. All namespaces when `namespace` is undefined or empty. */
  list(groupKind: string, namespace?: string): StoredObject[] {
    return this.#index.list(groupKind, namespace)
  }

  /** All objects of a namespace, whatever their kind. */
  inNamespace(namespace: string): StoredObject[] {
    return this.#index.inNamespace(namespace)
  }

  byUid(uid: string): StoredObject | undefined {
    return this.#index.byUid(uid)
  }

  /** Objects with an ownerReference to this uid. */
  byOwner(uid: string): StoredObject[] {
    return this.#index.byOwner(uid)
  }

  /** Kinds of which there is an object. */
  groupKinds(): string[] {
    return this.#index.groupKinds()
  }

  /** Settles when all that can be read now is committed. */
  settled(): Promise<void> {
    return this.#journal.settled()
  }

  /** Changes after `scope.from`, in order, each after its commit. Throws GONE when it is too old: list again. */
  watch(scope: WatchScope, signal: AbortSignal): Watcher {
    return this.#history.watch(scope, this.#version, signal)
  }

  /** The last committed version: a watcher that follows has seen all up to here. */
  get committed(): number {
    return this.#history.last
  }

  /** Throws ALREADY_EXISTS; NOT_FOUND or FORBIDDEN when its namespace is missing or ends. */
  async create(draft: DraftObject, options: CreateOptions = {}): Promise<StoredObject> {
    const named = this.named(draft)
    const key = keyOf(named)
    this.#checkNamespace(key)
    if (this.#index.get(key)) {
      throw new BerthError('ALREADY_EXISTS', `${describe(key)} exists already`, { details: { ...key } })
    }
    const {
      deletionTimestamp: _1,
      deletionGracePeriodSeconds: _2,
      selfLink: _3,
      ...metadata
    } = named.metadata as Partial<StoredMetadata> & { selfLink?: string }
    const object = {
      ...named,
      metadata: {
        ...tidy(metadata),
        name: key.name,
        uid: options.uid ?? newUid(),
        resourceVersion: '',
        creationTimestamp: timestamp(this.#clock.now()),
        ...(metadata.generation === undefined ? {} : { generation: 1 }),
      },
    }
    if (options.dryRun) {
      const { resourceVersion: _, ...unversioned } = object.metadata
      return { ...object, metadata: unversioned } as unknown as StoredObject
    }
    return this.#put('ADDED', object, undefined)
  }

  /**
   * Replaces. With a resourceVersion or uid in it, throws CONFLICT unless they are the present ones. What belongs to
   * the store (uid, times, generation) is kept. An update that changes nothing writes nothing. When the last
   * finalizer of an object that is being deleted goes, the object goes.
   */
  async update(draft: DraftObject, options: UpdateOptions = {}): Promise<StoredObject> {
    const key = keyOf(draft)
    const current = this.#require(key)
    const given = draft.metadata
    if (given.resourceVersion && given.resourceVersion !== current.metadata.resourceVersion) {
      throw new BerthError('CONFLICT', `Cannot update ${describe(key)}: it was changed meanwhile`, {
        hint: 'read it again, apply the change to what is there now, and retry',
        details: { ...key, have: current.metadata.resourceVersion, given: given.resourceVersion },
      })
    }
    this.#checkUid(key, current, given.uid)
    const next = merged(current, draft, options.part ?? 'all')
    if (jsonEqual(next, current)) {
      if (!options.dryRun) await this.settled()
      return current
    }
    const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = next.metadata
    if (deletionTimestamp) {
      const added = finalizers?.find((name) => !current.metadata.finalizers?.includes(name))
      if (added !== undefined && !propagationFinalizers.includes(added)) {
        throw new BerthError(
          'UNPROCESSABLE',
          `Cannot add finalizer "${added}" to ${describe(key)}: it is being deleted`,
          {
            details: { ...key, field: 'metadata.finalizers' },
          },
        )
      }
      if (!deletionGracePeriodSeconds && !isHeld(next)) {
        return options.dryRun ? next : this.#remove(key, next, current)
      }
    }
    return options.dryRun ? next : this.#put('MODIFIED', next, current)
  }

  /**
   * Read, decide, write in one step, without a conflict. `change` is synchronous and gives the whole object.
   */
  async change(
    key: ObjectKey,
    change: (current: StoredObject) => DraftObject,
    options: UpdateOptions = {},
  ): Promise<StoredObject> {
    const current = this.#require(key)
    return this.update(change(current), options)
  }

  /**
   * Removes, or marks with a deletionTimestamp what has finalizers or a period of grace. Throws NOT_FOUND, or
   * CONFLICT when a precondition (uid, resourceVersion) does not hold. Repeating can only shorten the grace.
   */
  async delete(
    key: ObjectKey,
    options: DeleteOptions = {},
  ): Promise<{ object: StoredObject; removed: boolean }> {
    const current = this.#require(key)
    this.#checkUid(key, current, options.uid)
    if (options.resourceVersion && options.resourceVersion !== current.metadata.resourceVersion) {
      throw new BerthError('CONFLICT', `Cannot delete ${describe(key)}: it was changed meanwhile`, {
        details: { ...key, have: current.metadata.resourceVersion, given: options.resourceVersion },
      })
    }
    const before = current.metadata.finalizers ?? []
    const finalizers =
      'propagation' in options
        ? [
            ...before.filter((f) => !propagationFinalizers.includes(f)),
            ...(options.propagation ? [options.propagation] : []),
          ]
        : before
    const grace = options.graceSeconds ?? 0
    const running = current.metadata.deletionTimestamp
      ? current.metadata.deletionGracePeriodSeconds
      : undefined
    if (grace === 0 && !isHeld({ ...current, metadata: { ...current.metadata, finalizers } })) {
      if (options.dryRun) return { object: current, removed: true }
      return { object: await this.#remove(key, current, current), removed: true }
    }
    const marked = { ...current.metadata }
    if (finalizers.length > 0 || before.length > 0) Object.assign(marked, { finalizers })
    if (!current.metadata.deletionTimestamp || (running ?? 0) > grace) {
      const seconds = Math.min(grace, running ?? grace)
      const since = current.metadata.deletionTimestamp
        ? Date.parse(current.metadata.deletionTimestamp) - (running ?? 0) * 1000
        : this.#clock.now()
      Object.assign(marked, {
        deletionTimestamp: timestamp(since + seconds * 1000),
        deletionGracePeriodSeconds: seconds,
        ...(current.metadata.generation ? { generation: current.metadata.generation + 1 } : {}),
      })
    }
    const next = {
      ...current,
      metadata: tidy(marked),
      ...(current.kind === 'Namespace'
        ? { status: { ...(current.status as object), phase: 'Terminating' } }
        : {}),
    }
    if (options.dryRun || jsonEqual(next, current)) return { object: next, removed: false }
    return { object: await this.#put('MODIFIED', next, current), removed: false }
  }

  /** The draft with a name that is free now: its own, or one that begins with `generateName`. */
  named(draft: DraftObject): DraftObject {
    if (draft.metadata.name) return draft
    const base = draft.metadata.generateName?.slice(0, maxGeneratedBase)
    if (!base) {
      throw new BerthError('UNPROCESSABLE', `Cannot create ${draft.kind}: metadata.name is missing`, {
        details: { groupKind: groupKindOf(draft), field: 'metadata.name' },
      })
    }
    for (let attempt = 0; attempt < 8; attempt++) {
      const suffix = Array.from({ length: 5 }, () => nameAlphabet[randomInt(nameAlphabet.length)]).join('')
      const named = { ...draft, metadata: { ...draft.metadata, name: `${base}${suffix}` } }
      if (!this.#index.get(keyOf(named))) return named
    }
    throw new BerthError('ALREADY_EXISTS', `Cannot find a free name that begins with "${base}"`)
  }

  #checkNamespace({ namespace, groupKind, name }: ObjectKey): void {
    if (namespace === '') return
    const object = this.#index.get({ groupKind: 'Namespace', namespace: '', name: namespace })
    if (!object) {
      throw new BerthError('NOT_FOUND', `Namespace "${namespace}" does not exist`, {
        details: { groupKind: 'Namespace', namespace: '', name: namespace },
      })
    }
    if (object.metadata.deletionTimestamp && !eventKinds.has(groupKind)) {
      throw new BerthError('FORBIDDEN', `Cannot create in namespace "${namespace}": it is being deleted`, {
        details: { groupKind, namespace, name, terminating: true },
      })
    }
  }

  #require(key: ObjectKey): StoredObject {
    const current = this.#index.get(key)
    if (!current)
      throw new BerthError('NOT_FOUND', `${describe(key)} does not exist`, { details: { ...key } })
    return current
  }

  #checkUid(key: ObjectKey, current: StoredObject, uid: string | undefined): void {
    if (!uid || uid === current.metadata.uid) return
    throw new BerthError('CONFLICT', `${describe(key)} is another object than the one meant`, {
      details: { ...key, precondition: 'UID', have: current.metadata.uid, given: uid },
    })
  }

  async #put(
    type: 'ADDED' | 'MODIFIED',
    object: Omit<StoredObject, 'metadata'> & { metadata: StoredMetadata },
    previous: StoredObject | undefined,
  ): Promise<StoredObject> {
    const version = ++this.#version
    const stored = deepFreeze({
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(version) },
    }) as StoredObject
    // Before the index: what cannot be written (nested too deeply) is not kept either.
    const body = JSON.stringify(stored)
    this.#index.put(stored)
    await this.#commit({ type, version, groupKind: groupKindOf(stored), object: stored, previous }, body)
    return stored
  }

  async #remove(key: ObjectKey, last: StoredObject, previous: StoredObject): Promise<StoredObject> {
    const version = ++this.#version
    const object = deepFreeze({ ...last, metadata: { ...last.metadata, resourceVersion: String(version) } })
    this.#index.remove(key)
    await this.#commit({ type: 'DELETED', version, groupKind: key.groupKind, object, previous }, null)
    return object
  }

  #commit(change: ChangeRecord, body: string | null): Promise<void> {
    const { groupKind, namespace, name } = keyOf(change.object)
    return this.#journal.write(
      [
        {
          file: eventKinds.has(groupKind) ? 'events' : 'main',
          table: 'objects',
          key: [groupKind, namespace, name],
          version: change.version,
          body,
        },
      ],
      () => this.#history.publish(change),
    )
  }
}
