import { keyOf, type ObjectKey, type StoredObject } from './object.ts'

/** The store's objects by kind and namespace, by uid, by owner's uid. */
export class Index {
  readonly #kinds = new Map<string, Map<string, Map<string, StoredObject>>>()
  readonly #uids = new Map<string, StoredObject>()
  readonly #owned = new Map<string, Map<string, StoredObject>>()

  get({ groupKind, namespace, name }: ObjectKey): StoredObject | undefined {
    return this.#kinds.get(groupKind)?.get(namespace)?.get(name)
  }

  byUid(uid: string): StoredObject | undefined {
    return this.#uids.get(uid)
  }

  byOwner(uid: string): StoredObject[] {
    return [...(this.#owned.get(uid)?.values() ?? [])]
  }

  groupKinds(): string[] {
    return [...this.#kinds.keys()]
  }

  list(groupKind: string, namespace?: string): StoredObject[] {
    const namespaces = this.#kinds.get(groupKind)
    if (!namespaces) return []
    const chosen = namespace ? [namespace] : [...namespaces.keys()].sort()
    return chosen.flatMap((name) => sorted(namespaces.get(name)))
  }

  inNamespace(namespace: string): StoredObject[] {
    return [...this.#kinds.values()].flatMap((namespaces) => sorted(namespaces.get(namespace)))
  }

  put(object: StoredObject): void {
    const key = keyOf(object)
    const previous = this.get(key)
    if (previous) this.#forget(previous)
    const namespaces = ensure(this.#kinds, key.groupKind, () => new Map())
    ensure(namespaces, key.namespace, () => new Map()).set(key.name, object)
    const { uid, ownerReferences } = object.metadata
    this.#uids.set(uid, object)
    for (const owner of ownerReferences ?? [])
      ensure(this.#owned, owner.uid, () => new Map()).set(uid, object)
  }

  remove(key: ObjectKey): void {
    const object = this.get(key)
    if (!object) return
    this.#forget(object)
    const namespaces = this.#kinds.get(key.groupKind)
    const names = namespaces?.get(key.namespace)
    names?.delete(key.name)
    if (names?.size === 0) namespaces?.delete(key.namespace)
    if (namespaces?.size === 0) this.#kinds.delete(key.groupKind)
  }

  #forget(object: StoredObject): void {
    const { uid, ownerReferences } = object.metadata
    this.#uids.delete(uid)
    for (const owner of ownerReferences ?? []) {
      const owned = this.#owned.get(owner.uid)
      owned?.delete(uid)
      if (owned?.size === 0) this.#owned.delete(owner.uid)
    }
  }
}

function ensure<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const present = map.get(key)
  if (present !== undefined) return present
  const made = make()
  map.set(key, made)
  return made
}

function sorted(names: Map<string, StoredObject> | undefined): StoredObject[] {
  if (!names) return []
  return [...names.values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
}
