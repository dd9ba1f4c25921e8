import { BerthError, isBerthError } from '../../base/error.ts'
import type { KubernetesClient } from '../../client/kubernetes-client.ts'
import {
  errorOf,
  newProgress,
  type OperationStatus,
  operationKind,
  type ReleaseOperation,
} from '../operation.ts'
import type { Operation } from '../situation.ts'
import type { RunOptions } from './progress.ts'

/** What undoes each command. */
const undo: Readonly<Record<Operation, string>> = {
  install: 'uninstall',
  upgrade: 'rollback',
  rollback: 'rollback',
  uninstall: '',
}

/**
 * Asks the daemon for an operation and follows it to its end. A request that is there already (a retry) is followed
 * as it is. Throws the operation's error; `INTERRUPTED` when the caller goes, while the operation goes on.
 */
export async function submitOperation(
  client: Pick<KubernetesClient, 'create' | 'watch'>,
  operation: ReleaseOperation,
  run: RunOptions,
): Promise<OperationStatus> {
  await client.create(operation, {}, run.signal).catch((error: unknown) => {
    if (!isBerthError(error, 'ALREADY_EXISTS')) throw error
  })
  return followOperation(client, operation, run)
}

/** Follows an operation to its end, from its beginning. Throws as `submitOperation` does. */
export async function followOperation(
  client: Pick<KubernetesClient, 'watch'>,
  { metadata, spec }: ReleaseOperation,
  { signal, onProgress }: RunOptions,
): Promise<OperationStatus> {
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
  const { command, release } = spec
  const where = namespace === 'default' ? '' : ` -n ${namespace}`
  const undoes = undo[command] === '' ? '' : `, berth ${undo[command]} ${release}${where} undoes it`
  throw new BerthError('INTERRUPTED', `The ${command} of "${release}" goes on in the daemon`, {
    hint: `berth status ${release}${where} --follow follows it${undoes}`,
  })
}
