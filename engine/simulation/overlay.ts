import { ObjectIndex, type View } from '../control/view.ts'
import type { KindName, KindTypes } from '../object/kinds.ts'
import type { KubeObject } from '../object/meta.ts'

/**
 * A view over another one that stays as it is: what is put here hides what lies below, what is removed here is not seen. Nothing is
 * copied, so a rehearsal over a large world costs only what it changes.
 */
export class OverlayView implements View {
  readonly #base: View
  readonly #above = new ObjectIndex()
  /** Names, by kind, that the base no longer decides. */
  readonly #hidden = new Set<string>()

  constructor(base: View) {
    this.#base = base
  }

  put(object: KubeObject): void {
    this.#hidden.add(idOf(object))
    this.#above.put(object)
  }

  remove(object: KubeObject): void {
    this.#hidden.add(idOf(object))
    this.#above.remove(object)
  }

  get<K extends KindName>(kind: K, namespace: string, name: string): KindTypes[K] | undefined {
    const hidden = this.#hidden.has(`${kind}/${namespace}/${name}`)
    return hidden ? this.#above.get(kind, namespace, name) : this.#base.get(kind, namespace, name)
  }

  list<K extends KindName>(kind: K, namespace?: string): readonly KindTypes[K][] {
    return [...this.#visible(this.#base.list(kind, namespace)), ...this.#above.list(kind, namespace)]
  }

  owned<K extends KindName>(kind: K, uid: string): readonly KindTypes[K][] {
    return [...this.#visible(this.#base.owned(kind, uid)), ...this.#above.owned(kind, uid)]
  }

  dependents(uid: string): readonly KubeObject[] {
    return [...this.#visible(this.#base.dependents(uid)), ...this.#above.dependents(uid)]
  }

  #visible<T extends KubeObject>(objects: readonly T[]): readonly T[] {
    return objects.filter((object) => !this.#hidden.has(idOf(object)))
  }
}

function idOf({ kind, metadata }: KubeObject): string {
  return `${kind}/${metadata.namespace ?? ''}/${metadata.name ?? ''}`
}
