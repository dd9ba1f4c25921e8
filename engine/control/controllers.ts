import { claimController } from './claim.ts'
import type { Controller } from './decision.ts'
import { deploymentController } from './deployment.ts'
import { garbageController } from './garbage.ts'
import { jobController } from './job.ts'
import { namespaceController } from './namespace.ts'
import { heartbeatController } from './node.ts'
import { placementController } from './placement.ts'
import { replicaSetController } from './replicaset.ts'
import { serviceController } from './service.ts'
import { statefulSetController } from './statefulset.ts'
import { volumeController } from './volume.ts'

/** Every controller of the daemon. */
export const controllers: readonly Controller[] = [
  namespaceController,
  deploymentController,
  replicaSetController,
  statefulSetController,
  jobController,
  claimController,
  volumeController,
  placementController,
  serviceController,
  garbageController,
  heartbeatController,
]
