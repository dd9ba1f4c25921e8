import { randomBytes } from 'node:crypto'
import type { Command } from 'commander'
import { parseDuration } from '../../engine/base/duration.ts'
import { BerthError, messageOf } from '../../engine/base/error.ts'
import { systemClock } from '../../engine/base/host/clock.ts'
import { parseHost } from '../../engine/client/docker/address.ts'
import { HttpTransport } from '../../engine/client/http-transport.ts'
import { KubernetesClient } from '../../engine/client/kubernetes-client.ts'
import { type Cascade, cascades } from '../../engine/release/cluster.ts'
import { ReleaseEngine } from '../../engine/release/host/engine.ts'
import { KubernetesCluster } from '../../engine/release/host/kubernetes-cluster.ts'
import type { JournalOptions } from '../../engine/release/record.ts'
import type { Output } from '../output.ts'

/** Flags of every command that works with releases. */
export interface ReleaseOptions {
  readonly host?: string
  readonly kubeApiserver?: string
  readonly kubeToken?: string
  readonly namespace?: string
}

/** Adds the flags that say which API and which namespace. */
export function addReleaseFlags(command: Command): Command {
  return command
    .option('-n, --namespace <name>', 'namespace of the release (default: HELM_NAMESPACE, then default)')
    .option('--kube-apiserver <url>', "another API server than this machine's")
    .option('--kube-token <token>', 'bearer token for that API server')
}

/** The client of the API that the flags name: this machine's daemon, or another API server. */
export function apiClient(options: ReleaseOptions, output: Output): KubernetesClient {
  const { kubeApiserver: url, kubeToken: token } = options
  const transport = new HttpTransport(
    url === undefined
      ? { socketPath: parseHost(options.host ?? output.env.BERTH_HOST) }
      : { url, ...(token === undefined ? {} : { token }) },
  )
  return new KubernetesClient(transport, { onWarning: (text) => output.note(`Warning: ${text}`) })
}

/** The release engine on that API. */
export function openEngine(options: ReleaseOptions, output: Output): ReleaseEngine {
  return new ReleaseEngine({
    cluster: new KubernetesCluster(apiClient(options, output)),
    clock: systemClock,
    random: randomBytes,
    onUnreadable: (error) => output.note(`Warning: ${messageOf(error)}`),
  })
}

export function namespaceOf(options: ReleaseOptions, output: Output): string {
  return options.namespace ?? output.env.HELM_NAMESPACE ?? 'default'
}

/** Flags of every command that changes a release, as commander names them. */
export interface ChangeOptions extends ReleaseOptions {
  readonly wait?: boolean | string
  readonly waitForJobs?: true
  readonly timeout: string
  readonly hooks: boolean
  readonly description?: string
  readonly forceConflicts?: true
  readonly rollbackOnFailure?: true
  readonly historyMax?: string
  readonly keepHistory?: true
  readonly cascade?: string
}

/** Adds the flags that say how a change is carried out. */
export function addChangeFlags(command: Command, until = 'until everything is ready'): Command {
  return addReleaseFlags(command)
    .option('--wait [strategy]', `wait ${until}`)
    .option('--wait-for-jobs', 'with --wait, until jobs are done too')
    .option('--timeout <duration>', 'how long to wait', '5m0s')
    .option('--no-hooks', 'run no hooks')
    .option('--description <text>', 'instead of the default description')
}

const strategies = ['watcher', 'hookOnly', 'legacy']

/** Whether a change waits until all is ready: hooks are always waited for. */
function waits(strategy: boolean | string | undefined): boolean {
  if (strategy === undefined || strategy === false || strategy === 'false') return false
  if (strategy === true || strategy === 'true') return true
  if (strategies.includes(strategy)) return strategy !== 'hookOnly'
  throw new BerthError(
    'USAGE',
    `--wait is "${strategy}", should be ${strategies.join(', ').replace(/, (\w+)$/, ' or $1')}`,
  )
}

function cascadeOf(text: string): Cascade {
  const found = cascades.find((one) => one === text)
  if (found) return found
  throw new BerthError(
    'USAGE',
    `--cascade is "${text}", should be ${cascades.join(', ').replace(/, (\w+)$/, ' or $1')}`,
  )
}

/** The change flags as the engine's options. */
export function changeOptions(options: ChangeOptions): Partial<JournalOptions> {
  const { wait, description, historyMax } = options
  return {
    wait: waits(wait),
    waitForJobs: options.waitForJobs ?? false,
    timeoutMs: parseDuration(options.timeout),
    hooks: options.hooks,
    forceConflicts: options.forceConflicts ?? false,
    rollbackOnFailure: options.rollbackOnFailure ?? false,
    keepHistory: options.keepHistory ?? false,
    ...(options.cascade === undefined ? {} : { cascade: cascadeOf(options.cascade) }),
    ...(historyMax === undefined ? {} : { historyMax: Number(historyMax) }),
    ...(description === undefined ? {} : { description }),
  }
}
