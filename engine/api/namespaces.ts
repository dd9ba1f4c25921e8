import { kindNamed } from '../object/kinds.ts'
import type { ObjectStore } from '../store/objects.ts'
import type { Writes } from './writes.ts'

/** Namespaces that are always there: clients take them for granted, and they cannot be deleted. */
export const usualNamespaces = ['default', 'kube-node-lease', 'kube-system']

/** Makes the namespaces that are always there. */
export async function ensureNamespaces(objects: ObjectStore, writes: Writes): Promise<void> {
  const missing = usualNamespaces.filter(
    (name) => !objects.get({ groupKind: 'Namespace', namespace: '', name }),
  )
  const request = { kind: kindNamed('Namespace'), namespace: '', manager: 'berth' }
  await Promise.all(missing.map((name) => writes.create({ metadata: { name } }, request)))
}
