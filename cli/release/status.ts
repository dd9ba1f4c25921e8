import { Command } from 'commander'
import { systemClock } from '../../engine/base/host/clock.ts'
import { refOf } from '../../engine/release/cluster.ts'
import { KubernetesCluster } from '../../engine/release/host/kubernetes-cluster.ts'
import { followOperation } from '../../engine/release/host/submit.ts'
import { objectsOf } from '../../engine/release/objects.ts'
import {
  namespaceOf as namespaceOfOperation,
  operationKind,
  type ReleaseOperation,
} from '../../engine/release/operation.ts'
import type { PodObject } from '../../engine/release/pods.ts'
import type { ReleaseRecord } from '../../engine/release/record.ts'
import type { Output } from '../output.ts'
import { addReleaseFlags, apiClient, namespaceOf, openEngine, type ReleaseOptions } from './connect.ts'
import { findRecord } from './find.ts'
import { Follower } from './follow.ts'
import { releaseText, writeValue } from './present.ts'
import { liveResources, resourcesText, withResources } from './resources.ts'
import { releaseTree } from './tree.ts'

interface StatusOptions extends ReleaseOptions {
  readonly revision?: string
  readonly output?: string
  readonly follow?: true
}

/** `berth status NAME`: on a terminal a tree down to the containers; in a pipe, or with `-o`, as Helm prints it. */
export function command(output: Output): Command {
  const made = new Command('status')
    .description('Print the state of a release: on a terminal as a tree, else as helm does')
    .argument('<name>')
    .option('--revision <number>', 'of this revision')
    .option('--follow', 'first follow the operation that is at work on it, to its end')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (name: string, options: StatusOptions) => {
      if (options.follow) await follow(name, options, output)
      const record = await findRecord(openEngine(options, output), name, options, output)
      const asValue = output.format === 'json' || output.format === 'yaml'
      const onTerminal = output.terminal && options.output === undefined && options.revision === undefined
      if (onTerminal && !asValue) return output.write(await tree(record, options, output))
      const resources = await liveResources(record, apiClient(options, output), output.interruptible())
      if (asValue) writeValue(withResources(record, resources), output)
      else output.write(releaseText(record, { resources: resourcesText(resources) }))
    })
  return addReleaseFlags(made)
}

async function tree(record: ReleaseRecord, options: ReleaseOptions, output: Output): Promise<string> {
  const signal = output.interruptible()
  const cluster = new KubernetesCluster(apiClient(options, output))
  const { namespace, manifest, info } = record
  const wanted = objectsOf(manifest, namespace, () => true)
  const live = await Promise.all(wanted.map((object) => cluster.get(refOf(object), signal)))
  const pods = await cluster.list({ apiVersion: 'v1', kind: 'Pod', namespace }, signal)
  const drawn = releaseTree(
    {
      record,
      objects: wanted.map((object, i) => ({ wanted: object, live: live[i] })),
      pods: pods as readonly PodObject[],
      nowMs: systemClock.now(),
    },
    !output.env.NO_COLOR,
  )
  return `${drawn}${info.notes ? `\n${info.notes.trimEnd()}\n` : ''}`
}

/** Follows what is at work on the release; nothing is nothing to follow. */
async function follow(name: string, options: StatusOptions, output: Output): Promise<void> {
  const client = apiClient(options, output)
  const namespace = namespaceOf(options, output)
  const signal = output.interruptible()
  const { items } = await client.list<ReleaseOperation>(operationKind, {}, signal)
  const running = items.find(
    (one) =>
      one.spec.release === name && namespaceOfOperation(one) === namespace && one.status?.phase === 'Running',
  )
  if (!running) return
  const title = `${running.spec.command} of ${name}`
  await using follower = await Follower.open({ client, clock: systemClock, namespace, title }, output)
  await followOperation(client, running, { signal, onProgress: follower.onProgress }).catch((error) => {
    follower.ended(signal.aborted ? 'left' : 'bad')
    throw error
  })
}
