import { kinds } from '../object/kinds.ts'
import type { KubeObject } from '../object/meta.ts'
import {
  type Controller,
  type Decision,
  decide,
  deletion,
  type Key,
  keyOf,
  nothing,
  statusUpdate,
  type Write,
} from './decision.ts'
import type { View } from './view.ts'

/** Gives each namespace its default ServiceAccount; empties one that is on its way out, then lets it go. */
export const namespaceController: Controller = {
  name: 'namespace-controller',
  reconcile,
  affected(view, object): readonly Key[] {
    if (object.kind === 'Namespace') return [keyOf(object)]
    const name = object.metadata.namespace
    const namespace = name ? view.get('Namespace', '', name) : undefined
    const concerned = namespace?.metadata.deletionTimestamp || object.kind === 'ServiceAccount'
    return namespace && concerned ? [keyOf(namespace)] : []
  },
}

function reconcile(view: View, key: Key): Decision {
  const namespace = view.get('Namespace', '', key.name)
  if (!namespace) return nothing
  if (!namespace.metadata.deletionTimestamp) {
    if (view.get('ServiceAccount', key.name, 'default')) return nothing
    const object = {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace: key.name },
    }
    return decide([{ verb: 'create', object, why: 'every namespace has one' }])
  }
  const phase = statusUpdate(namespace, { ...namespace.status, phase: 'Terminating' }, 'it is being deleted')
  if (phase.length > 0) return decide(phase)
  const content = kinds
    .filter((kind) => kind.namespaced)
    .flatMap((kind): readonly KubeObject[] => view.list(kind.kind as Key['kind'], key.name))
  const why = `namespace "${key.name}" is being deleted`
  if (content.length > 0) {
    const left = content.filter((object) => object.metadata.deletionTimestamp === undefined)
    return decide(left.map((object): Write => deletion(object, why, { propagation: 'Background' })))
  }
  if ((namespace.spec.finalizers ?? []).length === 0) return nothing
  return decide([
    { verb: 'update', object: { ...namespace, spec: { finalizers: [] } }, why: 'nothing is left in it' },
  ])
}
