import { microTimeText, timeMs } from '../object/meta.ts'
import type { Lease } from '../object/types.generated.ts'
import { type Controller, type Decision, decide, type Key, keyOf, nothing } from './decision.ts'
import type { View } from './view.ts'

const leaseNamespace = 'kube-node-lease'
const renewMs = 10_000

/** Renews the node's Lease: the heartbeat by which others see that this machine's daemon lives. */
export const heartbeatController: Controller = {
  name: 'node-lease',
  reconcile,
  affected(_, object): readonly Key[] {
    if (object.kind === 'Node') return [keyOf(object)]
    const mine = object.kind === 'Lease' && object.metadata.namespace === leaseNamespace
    return mine ? [{ kind: 'Node', namespace: '', name: object.metadata.name ?? '' }] : []
  },
}

function reconcile(view: View, key: Key, now: number): Decision {
  const node = view.get('Node', '', key.name)
  if (!node || node.metadata.deletionTimestamp || !view.get('Namespace', '', leaseNamespace)) return nothing
  const lease = view.get('Lease', leaseNamespace, key.name)
  const renewed = timeMs(lease?.spec.renewTime)
  if (lease && renewed !== undefined && renewed + renewMs > now && renewed <= now)
    return { writes: [], again: renewed + renewMs }
  const { name = '', uid = '' } = node.metadata
  const object: Lease = {
    ...lease,
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: lease?.metadata ?? {
      name,
      namespace: leaseNamespace,
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name, uid }],
    },
    spec: { ...lease?.spec, holderIdentity: name, leaseDurationSeconds: 40, renewTime: microTimeText(now) },
  }
  return decide([{ verb: lease ? 'update' : 'create', object, why: 'the node is alive' }], now + renewMs)
}
