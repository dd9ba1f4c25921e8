import { BerthError } from '../../base/error.ts'
import type { EventWrite, ObjectWrite, Writer } from '../../control/host/loop.ts'
import { type Kind, kindNamed, kindOf } from '../../object/kinds.ts'
import type { KubeObject } from '../../object/meta.ts'
import type { ObjectStore } from '../../store/objects.ts'
import { removeObject } from '../deletion.ts'
import type { Writes } from '../writes.ts'
import type { EventRecorder } from './events.ts'

/** Carries out controllers' writes on the store, by the same way as requests: defaults, validation, managed fields. */
export class StoreWriter implements Writer {
  readonly #objects: ObjectStore
  readonly #writes: Writes
  readonly #events: EventRecorder

  constructor(options: { objects: ObjectStore; writes: Writes; events: EventRecorder }) {
    this.#objects = options.objects
    this.#writes = options.writes
    this.#events = options.events
  }

  async write(write: ObjectWrite, controller: string): Promise<KubeObject | undefined> {
    if (write.verb === 'delete') return this.#remove(write)
    const { object } = write
    const kind = known(object)
    const { namespace = '', name = '' } = object.metadata
    const request = { kind, namespace, manager: controller, fieldValidation: 'Strict' } as const
    if (write.verb === 'create') return (await this.#writes.create(object, request)) as KubeObject
    const stored = await this.#writes.update(name, object, { ...request, subresource: write.subresource })
    // The last finalizer of an object that is being deleted went: so did the object.
    return this.#objects.byUid(stored.metadata.uid) ? (stored as KubeObject) : undefined
  }

  record({ about, type, reason, message, source }: EventWrite): void {
    void this.#events.record({ about, type, reason, message, source })
  }

  async #remove({
    key,
    uid,
    propagation,
  }: Extract<ObjectWrite, { verb: 'delete' }>): Promise<KubeObject | undefined> {
    const { group, kind } = kindNamed(key.kind)
    const groupKind = group === '' ? kind : `${kind}.${group}`
    const object = this.#objects.get({ groupKind, namespace: key.namespace, name: key.name })
    if (!object) {
      throw new BerthError('NOT_FOUND', `${groupKind} "${key.name}" does not exist`, {
        details: { groupKind, ...key },
      })
    }
    const { removed, object: left } = await removeObject(this.#objects, object, {
      preconditions: { uid },
      ...(propagation ? { propagationPolicy: propagation } : {}),
    })
    return removed ? undefined : (left as KubeObject)
  }
}

function known(object: KubeObject): Kind {
  const kind = kindOf(object.apiVersion, object.kind)
  if (kind) return kind
  throw new BerthError('NOT_FOUND', `no matches for kind "${object.kind}" in version "${object.apiVersion}"`)
}
