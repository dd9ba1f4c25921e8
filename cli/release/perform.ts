import { userInfo } from 'node:os'
import { BerthError, isBerthError } from '../../engine/base/error.ts'
import { systemClock } from '../../engine/base/host/clock.ts'
import { newUid } from '../../engine/base/host/id.ts'
import { packChart } from '../../engine/chart/pack.ts'
import type { KubernetesClient } from '../../engine/client/kubernetes-client.ts'
import type { ReleaseEngine } from '../../engine/release/host/engine.ts'
import { KubernetesCluster } from '../../engine/release/host/kubernetes-cluster.ts'
import type { Progress, RunOptions } from '../../engine/release/host/progress.ts'
import { submitOperation } from '../../engine/release/host/submit.ts'
import { type OperationSpec, operationKind } from '../../engine/release/operation.ts'
import type { ReleaseRecord } from '../../engine/release/record.ts'
import type { InstallRequest, ReleaseRequest } from '../../engine/release/requests.ts'
import type { Operation } from '../../engine/release/situation.ts'
import type { Output } from '../output.ts'
import { apiClient, openEngine, type ReleaseOptions } from './connect.ts'
import { findRecord } from './find.ts'
import { Follower } from './follow.ts'

export interface Performed {
  readonly record: ReleaseRecord | undefined
  readonly kept: readonly { readonly kind: string; readonly name: string }[]
}

const titles: Readonly<Record<Operation, string>> = {
  install: 'Installing',
  upgrade: 'Upgrading',
  rollback: 'Rolling back',
  uninstall: 'Uninstalling',
}

/** A change of a release: what to ask the daemon for, and how to do it here where there is none. */
export interface Change {
  readonly command: Operation
  readonly request: ReleaseRequest & { readonly dryRun?: unknown; readonly createNamespace?: boolean }
  readonly spec: () => Promise<Omit<OperationSpec, 'release' | 'caller' | 'options'>>
  readonly direct: (engine: ReleaseEngine, run: RunOptions) => Promise<Performed>
}

/**
 * Carries out a change: by this machine's daemon, which goes on when the caller does not; on another API server, or
 * without the daemon's operations, by the engine in this process. Dry runs change nothing and are done here.
 */
export async function perform(
  change: Change,
  options: ReleaseOptions & { readonly quiet?: true },
  output: Output,
): Promise<Performed> {
  const { request, command } = change
  const signal = output.interruptible()
  const client = apiClient(options, output)
  if (request.dryRun || options.quiet)
    return carryOut(change, { ...options, client, run: { signal, onProgress: warningsOf(output) } }, output)
  const { name, namespace } = request
  const title = `${titles[command]} ${name}`
  await using follower = await Follower.open({ client, clock: systemClock, namespace, title }, output)
  try {
    const run = { signal, onProgress: follower.onProgress }
    return await carryOut(change, { ...options, client, run }, output)
  } catch (error) {
    follower.ended(isBerthError(error, 'INTERRUPTED') ? 'left' : 'bad')
    throw error
  }
}

interface Means extends ReleaseOptions {
  readonly client: KubernetesClient
  readonly run: RunOptions
}

async function carryOut(
  change: Change,
  { client, run, ...options }: Means,
  output: Output,
): Promise<Performed> {
  const { request } = change
  const engine = openEngine(options, output)
  if (options.kubeApiserver !== undefined || request.dryRun) return change.direct(engine, run)
  const { apiVersion, kind } = operationKind
  if ((await new KubernetesCluster(client).namespaced(apiVersion, kind, run.signal)) === undefined)
    return change.direct(engine, run)
  const { name, namespace } = request
  const elsewhere = await needsHome(change, client, run)
  const status = await submitOperation(
    client,
    {
      ...operationKind,
      metadata: { name: newUid(), namespace: elsewhere ? 'default' : namespace },
      spec: {
        ...(elsewhere ? { namespace } : {}),
        ...(await change.spec()),
        release: name,
        caller: userInfo().username,
        options: request.options ?? {},
      },
    },
    run,
  )
  const revision = String(status.revision)
  const record =
    status.revision === undefined
      ? undefined
      : await findRecord(engine, name, { ...options, namespace, revision }, output).catch(() => undefined)
  return { record, kept: status.kept ?? [] }
}

/** Whether the operation cannot lie in the release's namespace, because it is to make it. */
async function needsHome(
  { request, command }: Change,
  client: KubernetesClient,
  { signal }: RunOptions,
): Promise<boolean> {
  const { name, namespace, createNamespace = false } = request
  if (await client.find({ apiVersion: 'v1', kind: 'Namespace', name: namespace }, signal)) return false
  if (createNamespace || command === 'uninstall') return true
  throw new BerthError('NOT_FOUND', `Cannot ${command} "${name}": namespaces "${namespace}" not found`, {
    hint:
      command === 'rollback'
        ? 'berth list -A shows the releases of all namespaces'
        : '--create-namespace makes it',
  })
}

/** Without progress a person is told of warnings only. */
function warningsOf(output: Output) {
  return (progress: Progress) => {
    if (progress.type === 'warning') output.note(`Warning: ${progress.text}`)
  }
}

/** The part of an operation that install and upgrade share. */
export async function chartSpec(request: InstallRequest) {
  return {
    chart: (await packChart(request.chart)).toString('base64'),
    origin: request.chart.origin,
    values: request.values,
    createNamespace: request.createNamespace ?? false,
    takeOwnership: request.takeOwnership ?? false,
    skipSchema: request.skipSchema ?? false,
    labels: request.labels ?? {},
  }
}
