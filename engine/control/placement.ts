import { withCondition } from '../object/conditions.ts'
import { matches, type Requirement } from '../object/selector.ts'
import type { Node, Pod, PodCondition, PodStatus } from '../object/types.generated.ts'
import {
  type Controller,
  type Decision,
  decide,
  type Key,
  keyOf,
  nothing,
  statusUpdate,
  type Write,
} from './decision.ts'
import { isActive } from './pods.ts'
import type { View } from './view.ts'

/**
 * Gives pods their node. On one machine this is a yes or no: node selectors and required node affinity count, taints
 * too; spreading and anti-affinity between pods do not, for there is nowhere else to go.
 */
export const placementController: Controller = {
  name: 'default-scheduler',
  reconcile,
  affected(view, object): readonly Key[] {
    if (object.kind === 'Pod') return needsNode(object as Pod) ? [keyOf(object)] : []
    return object.kind === 'Node' ? view.list('Pod').filter(needsNode).map(keyOf) : []
  },
}

function needsNode(pod: Pod): boolean {
  return !pod.spec.nodeName && isActive(pod) && (pod.spec.schedulingGates ?? []).length === 0
}

function reconcile(view: View, key: Key, now: number): Decision {
  const pod = view.get('Pod', key.namespace, key.name)
  if (!pod || !needsNode(pod)) return nothing
  const nodes = view.list('Node')
  const reasons = nodes.map((node) => obstacle(pod, node))
  const node = nodes[reasons.indexOf(undefined)]
  if (node) {
    const object = { ...pod, spec: { ...pod.spec, nodeName: node.metadata.name ?? '' } }
    const told: Write = {
      verb: 'event',
      about: pod,
      type: 'Normal',
      reason: 'Scheduled',
      message: `Successfully assigned ${key.namespace}/${key.name} to ${node.metadata.name}`,
      source: 'default-scheduler',
    }
    return decide([{ verb: 'update', object, why: `node "${node.metadata.name}" takes it` }, told])
  }
  const counts = new Map<string, number>()
  for (const reason of reasons) if (reason) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  const list = [...counts].map(([reason, count]) => `${count} ${reason}`).join(', ')
  const message =
    nodes.length === 0
      ? 'no nodes available to schedule pods'
      : `0/${nodes.length} nodes are available: ${list}.`
  const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }
  const conditions = withCondition<PodCondition>(pod.status?.conditions, condition, now)
  const report = statusUpdate(pod, { ...pod.status, conditions } as PodStatus, message)
  const event: Write = {
    verb: 'event',
    about: pod,
    type: 'Warning',
    reason: 'FailedScheduling',
    message,
    source: 'default-scheduler',
  }
  return decide(report.length > 0 ? [...report, event] : [])
}

/** Why a node does not take a pod, in kube-scheduler's words; undefined when it does. */
function obstacle(pod: Pod, node: Node): string | undefined {
  if (
    node.spec.unschedulable &&
    !tolerates(pod, { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' })
  ) {
    return 'node(s) were unschedulable'
  }
  const taint = (node.spec.taints ?? []).find((t) => t.effect !== 'PreferNoSchedule' && !tolerates(pod, t))
  if (taint) return `node(s) had untolerated taint(s)`
  const labels = node.metadata.labels ?? {}
  const selected = Object.entries(pod.spec.nodeSelector ?? {}).every(([key, value]) => labels[key] === value)
  const terms =
    pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms
  const affine =
    terms === undefined ||
    terms.some((term) => {
      const fields = { 'metadata.name': node.metadata.name ?? '' }
      return (
        matches(requirements(term.matchExpressions), labels) &&
        matches(requirements(term.matchFields), fields)
      )
    })
  return selected && affine ? undefined : "node(s) didn't match Pod's node affinity/selector"
}

function requirements(
  list: readonly { key: string; operator: string; values?: readonly string[] }[] | undefined,
): readonly Requirement[] {
  return (list ?? []).map(({ key, operator, values = [] }) => ({
    key,
    operator: operator as Requirement['operator'],
    values,
  }))
}

function tolerates(
  pod: Pod,
  taint: { readonly key: string; readonly value?: string; readonly effect: string },
): boolean {
  return (pod.spec.tolerations ?? []).some(
    (toleration) =>
      (!toleration.effect || toleration.effect === taint.effect) &&
      (toleration.key ? toleration.key === taint.key : toleration.operator === 'Exists') &&
      (toleration.operator === 'Exists' || (toleration.value ?? '') === (taint.value ?? '')),
  )
}
