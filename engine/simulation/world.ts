import { BerthError } from '../base/error.ts'
import { type Key, keyOf, keyText, type Write } from '../control/decision.ts'
import { ObjectIndex, type View } from '../control/view.ts'
import { applyDefaults } from '../object/defaults/defaults.ts'
import { kinds } from '../object/kinds.ts'
import { type KubeObject, timeText } from '../object/meta.ts'
import { prepareCreate, prepareUpdate } from '../object/prepare.ts'
import { allocateService, usualNodePorts } from '../object/service-addresses.ts'
import type { Pod, Service } from '../object/types.generated.ts'
import { invalidError } from '../object/validate/causes.ts'
import { validateCreate, validateUpdate } from '../object/validate/validate.ts'
import { OverlayView } from './overlay.ts'
import type { Random } from './random.ts'

type ObjectWrite = Exclude<Write, { readonly verb: 'event' }>

/** What a simulated API server does not know itself. */
export interface WorldOptions {
  /** The world before; it is not changed. */
  readonly base?: View
  readonly random: Random
  readonly now: () => number
  /** Told of each object that came, changed or went. */
  readonly changed: (object: KubeObject) => void
}

/**
 * The API server of a simulation: defaults, rules, versions, finalizers and graceful deletion as in the daemon, in memory, with a clock
 * and a seed from outside.
 */
export class World {
  readonly view: OverlayView
  readonly #options: WorldOptions
  #version = 1

  constructor(options: WorldOptions) {
    this.#options = options
    this.view = new OverlayView(options.base ?? new ObjectIndex())
  }

  /** Does one write, or throws what the daemon's API would throw. */
  write(write: ObjectWrite): KubeObject | undefined {
    switch (write.verb) {
      case 'create':
        return this.create(write.object)
      case 'update':
        return this.update(write.object, write.subresource)
      case 'delete':
        return this.remove(write.key, write.uid, write.propagation)
    }
  }

  create(input: KubeObject): KubeObject {
    const { random, now } = this.#options
    const suffix = () =>
      Array.from({ length: 5 }, () => random.pick([...'bcdfghjklmnpqrstvwxz2456789'] as [string])).join('')
    const name = input.metadata.name ?? `${input.metadata.generateName ?? ''}${suffix()}`
    const uid = `uid-${this.#version}-${random.between(0, 0xffffff).toString(16)}`
    const metadata = { ...input.metadata, name, uid, creationTimestamp: timeText(now()) }
    const object = this.#addressed(prepareCreate(applyDefaults({ ...input, metadata })))
    if (this.#find(keyOf(object))) {
      throw new BerthError('ALREADY_EXISTS', `${keyText(keyOf(object))} already exists`)
    }
    refuse(object, validateCreate(object))
    return this.#store(object)
  }

  update(next: KubeObject, subresource?: 'status'): KubeObject | undefined {
    const previous = this.#find(keyOf(next))
    if (!previous) throw new BerthError('NOT_FOUND', `${keyText(keyOf(next))} is not there`)
    if (next.metadata.resourceVersion !== previous.metadata.resourceVersion) {
      throw new BerthError('CONFLICT', `${keyText(keyOf(next))} is another version`)
    }
    const prepared = prepareUpdate(subresource ? next : applyDefaults(next), previous, subresource)
    if (!subresource) refuse(prepared, validateUpdate(prepared, previous))
    return this.#isDone(prepared) ? this.#drop(prepared) : this.#store(prepared)
  }

  /** Deletes as the API does: a pod on a node first gets time to end; finalizers keep an object. */
  remove(
    key: Key,
    uid?: string,
    propagation?: 'Background' | 'Foreground' | 'Orphan',
  ): KubeObject | undefined {
    const object = this.#find(key)
    if (!object) throw new BerthError('NOT_FOUND', `${keyText(key)} is not there`)
    if (uid !== undefined && object.metadata.uid !== uid)
      throw new BerthError('CONFLICT', `${keyText(key)} is another object`)
    const extra =
      propagation === 'Foreground' ? ['foregroundDeletion'] : propagation === 'Orphan' ? ['orphan'] : []
    const finalizers = [...new Set([...(object.metadata.finalizers ?? []), ...extra])]
    const time = object.metadata.deletionTimestamp ?? timeText(this.#options.now())
    const marked = { ...object, metadata: { ...object.metadata, finalizers, deletionTimestamp: time } }
    const ending = object.kind === 'Pod' && !isOver(object as Pod) && Boolean((object as Pod).spec.nodeName)
    if (!ending && this.#isDone(marked)) return this.#drop(marked)
    return object.metadata.deletionTimestamp && extra.length === 0 ? object : this.#store(marked)
  }

  /** The end of a pod whose containers have ended. */
  finish(pod: Pod): void {
    const object = this.#find(keyOf(pod))
    if (object?.metadata.uid !== pod.metadata.uid || !object) return
    const status = object.status as Pod['status']
    const phase = isOver(object as Pod) ? status?.phase : 'Failed'
    const metadata = { ...object.metadata, deletionGracePeriodSeconds: 0 }
    if ((metadata.finalizers ?? []).length === 0) this.#drop(object)
    else this.#store({ ...object, metadata, status: { ...status, phase } })
  }

  /** Every object, for who starts to look. */
  all(): readonly KubeObject[] {
    return kinds.flatMap((kind): readonly KubeObject[] => this.view.list(kind.kind as Key['kind']))
  }

  #find(key: Key): KubeObject | undefined {
    return this.view.get(key.kind, key.namespace, key.name)
  }

  #isDone({ metadata, kind, spec }: KubeObject): boolean {
    const kept = kind === 'Namespace' ? ((spec as { finalizers?: readonly string[] })?.finalizers ?? []) : []
    return (
      metadata.deletionTimestamp !== undefined &&
      (metadata.deletionGracePeriodSeconds ?? 0) === 0 &&
      (metadata.finalizers ?? []).length === 0 &&
      kept.length === 0
    )
  }

  #addressed(object: KubeObject): KubeObject {
    if (object.kind !== 'Service') return object
    const pool = { subnet: '10.211.0.0/16', nodePorts: usualNodePorts, taken: this.view.list('Service') }
    return allocateService(object as Service, pool)
  }

  #store(object: KubeObject): KubeObject {
    this.#version++
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } }
    this.view.put(stored)
    this.#options.changed(stored)
    return stored
  }

  #drop(object: KubeObject): undefined {
    this.#version++
    this.view.remove(object)
    this.#options.changed(object)
  }
}

function isOver(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
}

function refuse(object: KubeObject, causes: ReturnType<typeof validateCreate>): void {
  if (causes.length > 0) throw invalidError(object, causes)
}
