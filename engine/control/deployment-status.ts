import { withCondition } from '../object/conditions.ts'
import { timeMs, timeText } from '../object/meta.ts'
import type {
  Deployment,
  DeploymentCondition,
  DeploymentStatus,
  ReplicaSet,
} from '../object/types.generated.ts'
import { newSetOf, revisionOf } from './revisions.ts'
import { limitsOf } from './rollout.ts'

/** A Deployment's status from its ReplicaSets', and when its progress deadline must be looked at. */
export function deploymentStatus(
  deployment: Deployment,
  sets: readonly ReplicaSet[],
  now: number,
): { readonly status: DeploymentStatus; readonly again?: number; readonly revision?: string } {
  const current = newSetOf(deployment, sets)
  const { minAvailable } = limitsOf(deployment)
  const total = (count: keyof NonNullable<ReplicaSet['status']>) =>
    sets.reduce((sum, set) => sum + Number(set.status?.[count] ?? 0), 0)
  const counts = {
    replicas: total('replicas'),
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: total('readyReplicas'),
    availableReplicas: total('availableReplicas'),
    terminatingReplicas: total('terminatingReplicas'),
    unavailableReplicas: Math.max(
      0,
      sets.reduce((sum, set) => sum + (set.spec.replicas ?? 0), 0) - total('availableReplicas'),
    ),
    observedGeneration: deployment.metadata.generation ?? 0,
  }
  const enough = counts.availableReplicas >= minAvailable
  const withAvailable = withCondition<DeploymentCondition>(
    deployment.status?.conditions,
    {
      type: 'Available',
      status: enough ? 'True' : 'False',
      reason: enough ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
      message: `Deployment ${enough ? 'has' : 'does not have'} minimum availability.`,
    },
    now,
    { updateTime: true },
  )
  const progress = progressOf(deployment, current, counts, now)
  const conditions = progress.condition
    ? touch(withCondition(withAvailable, progress.condition, now, { updateTime: true }), progress.moved, now)
    : withAvailable
  return {
    status: {
      ...counts,
      ...(deployment.status?.collisionCount === undefined
        ? {}
        : { collisionCount: deployment.status.collisionCount }),
      conditions,
    },
    ...(progress.again === undefined ? {} : { again: progress.again }),
    ...(current && revisionOf(current) > 0 ? { revision: String(revisionOf(current)) } : {}),
  }
}

interface Progress {
  readonly condition?: Omit<DeploymentCondition, 'lastTransitionTime' | 'lastUpdateTime'>
  /** Something advanced: the deadline counts from now. */
  readonly moved?: boolean
  readonly again?: number
}

function progressOf(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  counts: { replicas: number; updatedReplicas: number; readyReplicas: number; availableReplicas: number },
  now: number,
): Progress {
  const wanted = deployment.spec.replicas ?? 1
  const before = deployment.status
  const condition = before?.conditions?.find((c) => c.type === 'Progressing')
  const subject = current
    ? `ReplicaSet "${current.metadata.name}"`
    : `Deployment "${deployment.metadata.name}"`
  const state = (status: string, reason: string, message: string) => ({
    type: 'Progressing',
    status,
    reason,
    message,
  })
  if (deployment.spec.paused) {
    return { condition: state('Unknown', 'DeploymentPaused', 'Deployment is paused') }
  }
  const complete =
    current !== undefined &&
    counts.updatedReplicas === wanted &&
    counts.replicas === wanted &&
    counts.availableReplicas === wanted
  if (complete)
    return { condition: state('True', 'NewReplicaSetAvailable', `${subject} has successfully progressed.`) }
  const wasComplete = condition?.reason === 'NewReplicaSetAvailable'
  // A complete rollout that loses a pod is not a new one: only another template starts a deadline.
  if (wasComplete && before?.observedGeneration === deployment.metadata.generation) return {}
  const moved =
    counts.updatedReplicas > (before?.updatedReplicas ?? 0) ||
    counts.replicas - counts.updatedReplicas < (before?.replicas ?? 0) - (before?.updatedReplicas ?? 0) ||
    counts.readyReplicas > (before?.readyReplicas ?? 0) ||
    counts.availableReplicas > (before?.availableReplicas ?? 0) ||
    before?.observedGeneration !== deployment.metadata.generation
  const deadline =
    (timeMs(condition?.lastUpdateTime) ?? now) + (deployment.spec.progressDeadlineSeconds ?? 600) * 1000
  const late =
    !moved && condition !== undefined && (condition.reason === 'ProgressDeadlineExceeded' || now > deadline)
  if (late)
    return { condition: state('False', 'ProgressDeadlineExceeded', `${subject} has timed out progressing.`) }
  return {
    condition: state('True', 'ReplicaSetUpdated', `${subject} is progressing.`),
    moved,
    again: (moved ? now + (deployment.spec.progressDeadlineSeconds ?? 600) * 1000 : deadline) + 1000,
  }
}

/** The `Progressing` condition with a new update time when something moved: the deadline counts from it. */
function touch(
  conditions: readonly DeploymentCondition[],
  moved: boolean | undefined,
  now: number,
): readonly DeploymentCondition[] {
  if (!moved) return conditions
  const lastUpdateTime = timeText(now)
  return conditions.map((condition) =>
    condition.type === 'Progressing' ? { ...condition, lastUpdateTime } : condition,
  )
}
