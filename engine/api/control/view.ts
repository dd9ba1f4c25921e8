import type { View } from '../../control/view.ts'
import { type KindName, type KindTypes, kindNamed } from '../../object/kinds.ts'
import type { KubeObject } from '../../object/meta.ts'
import type { StoredObject } from '../../store/object.ts'
import type { ObjectStore } from '../../store/objects.ts'

/** The store as controllers see it: its own memory, nothing is copied, a write shows at once. */
export function storeView(objects: ObjectStore): View {
  return {
    get: (kind, namespace, name) => typed(objects.get({ groupKind: groupKind(kind), namespace, name })),
    list: (kind, namespace) => typed(objects.list(groupKind(kind), namespace)),
    owned: <K extends KindName>(kind: K, uid: string) =>
      typed<readonly KindTypes[K][]>(objects.byOwner(uid).filter((object) => object.kind === kind)),
    dependents: (uid) => typed<readonly KubeObject[]>(objects.byOwner(uid)),
  }
}

const groupKinds = new Map<KindName, string>()

function groupKind(name: KindName): string {
  const known = groupKinds.get(name)
  if (known !== undefined) return known
  const { group, kind } = kindNamed(name)
  const text = group === '' ? kind : `${kind}.${group}`
  groupKinds.set(name, text)
  return text
}

/** What lies in the store of a kind has that kind's type: it was decoded and validated on its way in. */
function typed<T>(stored: StoredObject | StoredObject[] | undefined): T {
  return stored as unknown as T
}
