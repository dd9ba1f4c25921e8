import { BerthError } from '../../engine/base/error.ts'
import {
  type ApplyOptions,
  type Cascade,
  type Cluster,
  type ClusterObject,
  type ListQuery,
  type ObjectRef,
  refKey,
  refOf,
} from '../../engine/release/cluster.ts'

const clusterKinds = ['Namespace', 'Node', 'PersistentVolume', 'ClusterRole', 'StorageClass']

/**
 * A cluster in memory whose controllers are done at once: workloads are ready, jobs complete, unless their names
 * or images are in `stuck`. `log` holds every write in order.
 */
export class MemoryCluster implements Cluster {
  readonly objects = new Map<string, ClusterObject>()
  readonly log: string[] = []
  readonly stuck = new Set<string>()
  readonly unknownKinds = new Set<string>()
  #generation = 1

  constructor() {
    this.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } })
  }

  /** A cluster with the same objects, which goes its own way from here. */
  clone(): MemoryCluster {
    const copy = new MemoryCluster()
    for (const [key, object] of this.objects) copy.objects.set(key, object)
    copy.#generation = this.#generation
    return copy
  }

  put(object: ClusterObject): void {
    this.objects.set(refKey(refOf(object)), object)
  }

  async namespaced(_apiVersion: string, kind: string): Promise<boolean | undefined> {
    return this.unknownKinds.has(kind) ? undefined : !clusterKinds.includes(kind)
  }

  async get(ref: ObjectRef): Promise<ClusterObject | undefined> {
    const object = this.objects.get(refKey(ref))
    return object && this.#withStatus(object)
  }

  async list({ apiVersion, kind, namespace, labelSelector }: ListQuery): Promise<readonly ClusterObject[]> {
    const wanted = (labelSelector ?? '').split(',').filter((part) => part !== '')
    return [...this.objects.values()].filter(
      (object) =>
        object.apiVersion === apiVersion &&
        object.kind === kind &&
        (namespace === undefined || object.metadata.namespace === namespace) &&
        wanted.every((part) => {
          const [key = '', value] = part.split('=')
          return object.metadata.labels?.[key] === value
        }),
    )
  }

  async create(object: ClusterObject): Promise<ClusterObject> {
    const key = refKey(refOf(object))
    if (this.objects.has(key)) throw new BerthError('ALREADY_EXISTS', `${key} already exists`)
    return this.#write('create', object)
  }

  async apply(object: ClusterObject, { dryRun }: ApplyOptions): Promise<ClusterObject> {
    if ((object.spec as { invalid?: boolean } | undefined)?.invalid)
      throw new BerthError('UNPROCESSABLE', `${object.kind} "${object.metadata.name}" is invalid`)
    return dryRun ? object : this.#write('apply', object)
  }

  async remove(ref: ObjectRef): Promise<void> {
    if (this.objects.delete(refKey(ref))) this.log.push(`remove ${ref.kind}/${ref.name}`)
  }

  #write(verb: string, object: ClusterObject): ClusterObject {
    this.log.push(`${verb} ${object.kind}/${object.metadata.name}`)
    const stored = { ...object, metadata: { ...object.metadata, generation: this.#generation++ } }
    this.put(stored)
    return stored
  }

  #withStatus(object: ClusterObject): ClusterObject {
    const { generation = 1, name } = object.metadata
    const count = (object.spec as { replicas?: number } | undefined)?.replicas ?? 1
    const template = (
      object.spec as { template?: { spec?: { containers?: { image: string }[] } } } | undefined
    )?.template
    const stuck = this.stuck.has(name) || this.stuck.has(template?.spec?.containers?.[0]?.image ?? '')
    const done = stuck ? 0 : count
    const conditions = stuck ? [] : [{ type: 'Complete', status: 'True' }]
    const statuses: Readonly<Record<string, unknown>> = {
      Deployment: {
        observedGeneration: generation,
        replicas: count,
        updatedReplicas: count,
        availableReplicas: done,
      },
      StatefulSet: { observedGeneration: generation, updatedReplicas: count, readyReplicas: done },
      Job: { startTime: 'now', conditions },
      Pod: { phase: stuck ? 'Running' : 'Succeeded' },
    }
    return object.kind in statuses ? { ...object, status: statuses[object.kind] } : object
  }
}

/** Thrown by everything once a `DyingCluster` is dead. */
class Killed extends Error {}

/**
 * A cluster whose caller dies: after the `limit`th write every call fails, as if the process had ended between two
 * instructions. `writes` counts them.
 */
export class DyingCluster implements Cluster {
  readonly #inner: Cluster
  readonly #limit: number
  writes = 0

  constructor(inner: Cluster, limit: number) {
    this.#inner = inner
    this.#limit = limit
  }

  #alive(): void {
    if (this.writes >= this.#limit) throw new Killed('killed')
  }

  async #write<T>(work: () => Promise<T>): Promise<T> {
    this.#alive()
    const result = await work()
    this.writes++
    this.#alive()
    return result
  }

  async namespaced(apiVersion: string, kind: string, signal: AbortSignal) {
    this.#alive()
    return this.#inner.namespaced(apiVersion, kind, signal)
  }

  async get(ref: ObjectRef, signal: AbortSignal) {
    this.#alive()
    return this.#inner.get(ref, signal)
  }

  async list(query: ListQuery, signal: AbortSignal) {
    this.#alive()
    return this.#inner.list(query, signal)
  }

  async create(object: ClusterObject, signal: AbortSignal) {
    return this.#write(() => this.#inner.create(object, signal))
  }

  async apply(object: ClusterObject, options: ApplyOptions, signal: AbortSignal) {
    this.#alive()
    if (options.dryRun) return this.#inner.apply(object, options, signal)
    return this.#write(() => this.#inner.apply(object, options, signal))
  }

  async remove(ref: ObjectRef, options: { readonly cascade: Cascade }, signal: AbortSignal) {
    return this.#write(() => this.#inner.remove(ref, options, signal))
  }
}
