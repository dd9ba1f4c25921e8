import type { KindName, KindTypes } from '../object/kinds.ts'
import type { KubeObject } from '../object/meta.ts'

/** The world as controllers see it: read-only, in memory, indexed by what they ask for. */
export interface View {
  get<K extends KindName>(kind: K, namespace: string, name: string): KindTypes[K] | undefined
  /** Objects of a kind, of one namespace when one is named. */
  list<K extends KindName>(kind: K, namespace?: string): readonly KindTypes[K][]
  /** Objects of a kind that name this uid among their owners. */
  owned<K extends KindName>(kind: K, uid: string): readonly KindTypes[K][]
  /** Objects of any kind that name this uid among their owners. */
  dependents(uid: string): readonly KubeObject[]
}

/** A view over objects that are put and removed one by one, as a watch tells of them. Nothing is copied. */
export class ObjectIndex implements View {
  readonly #kinds = new Map<string, Map<string, Map<string, KubeObject>>>()
  readonly #byOwner = new Map<string, Map<string, KubeObject>>()

  put(object: KubeObject): void {
    const { namespace = '', name = '' } = object.metadata
    const before = this.#namespace(object.kind, namespace).get(name)
    if (before) this.#unlink(before)
    this.#namespace(object.kind, namespace).set(name, object)
    for (const { uid } of object.metadata.ownerReferences ?? []) {
      const siblings = this.#byOwner.get(uid) ?? new Map<string, KubeObject>()
      siblings.set(idOf(object), object)
      this.#byOwner.set(uid, siblings)
    }
  }

  remove(object: KubeObject): void {
    const { namespace = '', name = '' } = object.metadata
    const before = this.#namespace(object.kind, namespace).get(name)
    if (!before) return
    this.#unlink(before)
    this.#namespace(object.kind, namespace).delete(name)
  }

  get<K extends KindName>(kind: K, namespace: string, name: string): KindTypes[K] | undefined {
    return this.#kinds.get(kind)?.get(namespace)?.get(name) as KindTypes[K] | undefined
  }

  list<K extends KindName>(kind: K, namespace?: string): readonly KindTypes[K][] {
    const all = this.#kinds.get(kind)
    const some = namespace === undefined ? [...(all?.values() ?? [])] : [all?.get(namespace) ?? new Map()]
    return some.flatMap((objects) => [...objects.values()]) as KindTypes[K][]
  }

  owned<K extends KindName>(kind: K, uid: string): readonly KindTypes[K][] {
    return this.dependents(uid).filter((object) => object.kind === kind) as unknown as KindTypes[K][]
  }

  dependents(uid: string): readonly KubeObject[] {
    return [...(this.#byOwner.get(uid)?.values() ?? [])]
  }

  #namespace(kind: string, namespace: string): Map<string, KubeObject> {
    const namespaces = this.#kinds.get(kind) ?? new Map<string, Map<string, KubeObject>>()
    const objects = namespaces.get(namespace) ?? new Map<string, KubeObject>()
    namespaces.set(namespace, objects)
    this.#kinds.set(kind, namespaces)
    return objects
  }

  #unlink(object: KubeObject): void {
    for (const { uid } of object.metadata.ownerReferences ?? []) {
      const siblings = this.#byOwner.get(uid)
      siblings?.delete(idOf(object))
      if (siblings?.size === 0) this.#byOwner.delete(uid)
    }
  }
}

function idOf({ kind, metadata }: KubeObject): string {
  return `${kind}/${metadata.namespace ?? ''}/${metadata.name ?? ''}`
}
