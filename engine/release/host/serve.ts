import { randomBytes } from 'node:crypto'
import { messageOf } from '../../base/error.ts'
import type { Clock } from '../../base/host/clock.ts'
import type { Log } from '../../base/host/log.ts'
import type { KubernetesClient } from '../../client/kubernetes-client.ts'
import { type EngineOptions, ReleaseEngine } from './engine.ts'
import { KubernetesCluster } from './kubernetes-cluster.ts'
import { ReleaseOperations } from './operations.ts'

export interface ServeReleasesOptions {
  /** Of this machine's API. */
  readonly client: KubernetesClient
  readonly clock: Clock
  readonly log: Log
  /** What must hold before an operation writes anything, such as free ports. */
  readonly check?: EngineOptions['check']
}

/**
 * The daemon's release engine: carries out ReleaseOperations, and those first that an earlier daemon left. Disposing
 * ends it at the next step of each; the next daemon goes on there.
 */
export function serveReleases({ client, clock, log, check }: ServeReleasesOptions): AsyncDisposable {
  const controller = new AbortController()
  const engine = new ReleaseEngine({
    cluster: new KubernetesCluster(client),
    clock,
    random: randomBytes,
    onUnreadable: (error) => log('warn', 'a release record is passed over', { error: messageOf(error) }),
    ...(check ? { check } : {}),
  })
  const running = new ReleaseOperations({ client, engine, clock, log })
    .run(controller.signal)
    .catch((error: unknown) => {
      if (!controller.signal.aborted)
        log('error', 'release operations are not served any more', { error: messageOf(error) })
    })
  return {
    async [Symbol.asyncDispose]() {
      controller.abort(new Error('The daemon ends'))
      await running
    },
  }
}
