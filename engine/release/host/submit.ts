import { BerthError, isBerthError } from '../../base/error.ts'
import type { KubernetesClient } from '../../client/kubernetes-client.ts'
import {
  errorOf,
  newProgress,
  type OperationStatus,
  operationKind,
  type ReleaseOperation,
} from '../operation.ts'
import type { RunOptions } from './progress.ts'

/**
 * Asks the daemon for an operation and follows it to its end. A request that is there already (a retry) is followed
 * as it is. Throws the operation's error; `INTERRUPTED` when the caller goes, while the operation goes on.
 */
export async function submitOperation(
  client: Pick<KubernetesClient, 'create' | 'watch'>,
  operation: ReleaseOperation,
  { signal, onProgress }: RunOptions,
): Promise<OperationStatus> {
  const { metadata, spec } = operation
  const goesOn = () =>
    new BerthError('INTERRUPTED', `The ${spec.command} of "${spec.release}" goes on without you`, {
      hint: `berth status ${spec.release} follows it, berth uninstall ${spec.release} undoes it`,
    })
  await client.create(operation, {}, signal).catch((error: unknown) => {
    if (!isBerthError(error, 'ALREADY_EXISTS')) throw error
  })
  let seen = 0
  const query = { fieldSelector: `metadata.name=${metadata.name}` }
  const { namespace } = metadata
  for await (const event of client.watch<ReleaseOperation>({ ...operationKind, namespace }, query, signal)) {
    if (event.type === 'SYNCED') continue
    const { status } = event.object
    if (event.type === 'DELETED' || !status) continue
    for (const progress of newProgress(seen, status)) onProgress?.(progress)
    seen = status.dropped + status.progress.length
    if (status.phase === 'Failed' && status.error) throw errorOf(status.error)
    if (status.phase !== 'Running') return status
  }
  throw goesOn()
}
