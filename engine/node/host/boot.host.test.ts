import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scaledMs } from '../../../test/support/time.ts'
import { remains } from '../../container/host/containers.testkit.ts'
import type { Deployment, Pod } from '../../object/types.generated.ts'
import { PodBench, sh } from './pods.testkit.ts'

let pods: PodBench
beforeAll(async () => {
  pods = await PodBench.open()
})
afterAll(async () => {
  await pods?.[Symbol.asyncDispose]()
})

function deploy(name: string, container: object, { annotations = {}, volumes = [] as object[] } = {}): void {
  const labels = { app: name }
  pods.world.create({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'shop' },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, annotations },
        spec: { terminationGracePeriodSeconds: 1, containers: [container], volumes },
      },
    },
  } as unknown as Deployment)
}

const podOf = (app: string) =>
  pods.world.view.list('Pod', 'shop').find((p: Pod) => p.metadata.labels?.app === app)
const isReady = (app: string) => podOf(app)?.status?.containerStatuses?.[0]?.ready === true
const waitingFor = (app: string) => podOf(app)?.status?.containerStatuses?.[0]?.state?.waiting?.reason
const startOf = (app: string) => podOf(app)?.status?.containerStatuses?.[0]?.state?.running?.startedAt

describe('after a restart of the machine', () => {
  it('pods begin when what they need is ready', { timeout: 60_000 }, async () => {
    // Ready only when a file is there that was in memory: the boot takes it away.
    const go = join(pods.bench.top, 'go')
    await writeFile(go, '')
    const readinessProbe = { exec: { command: ['grep', '-q', 'yes', '/go'] }, periodSeconds: 1 }
    const volumeMounts = [{ name: 'go', mountPath: '/go' }]
    deploy('db', sh('db', 'sleep 1000', { readinessProbe, volumeMounts }), {
      volumes: [{ name: 'go', hostPath: { path: go } }],
    })
    const annotations = { 'berth.dev/needs': 'db' }
    deploy('web', sh('web', 'sleep 1000'), { annotations })
    await pods.until(() => waitingFor('web') === 'WaitingForNeeds', 'web waits for db')
    await writeFile(go, 'yes')
    await pods.until(() => isReady('db') && isReady('web'), 'both are ready')

    await writeFile(go, '')
    await pods.switchOff()
    await pods.start()
    await pods.until(
      () => startOf('db') && podOf('db')?.status?.containerStatuses?.[0]?.restartCount === 1,
      'db is back',
    )
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    expect(waitingFor('web')).toBe('WaitingForNeeds')
    expect(
      pods.events.filter((line) => line.includes('WaitingForNeeds Pod waits for db to be ready')),
    ).toHaveLength(2)
    await writeFile(go, 'yes')
    await pods.until(() => isReady('db') && isReady('web'), 'both are ready again')
    expect(startOf('web')).not.toBe(undefined)
    expect(Date.parse(startOf('web') ?? '')).toBeGreaterThan(Date.parse(startOf('db') ?? ''))
  })

  it('what belonged to pods that were deleted meanwhile goes', { timeout: 60_000 }, async () => {
    for (const name of ['db', 'web']) pods.world.remove({ kind: 'Deployment', namespace: 'shop', name })
    await pods.until(() => pods.world.view.list('Pod', 'shop').length === 0, 'all pods go')
    const memory = { name: 'memory', emptyDir: { medium: 'Memory' } }
    pods.makePod({
      shareProcessNamespace: true,
      containers: [sh('app', 'sleep 1000', { volumeMounts: [{ name: 'memory', mountPath: '/memory' }] })],
      volumes: [memory],
    })
    const { root } = pods.bench.engine
    await pods.until(() => pods.pod()?.status?.phase === 'Running', 'the pod runs')
    await expect.poll(() => readdir(join(root, 'logs')), { timeout: scaledMs(5_000) }).toHaveLength(1)
    await pods.stop()
    const object = pods.pod()
    if (object) pods.world.finish(object)
    await pods.start()
    await pods.until(() => pods.bench.sandboxes.list().length === 0, 'its sandbox goes')
    for (const folder of ['pods', 'logs']) await expect.poll(() => readdir(join(root, folder))).toEqual([])
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect((await remains(pods.bench)).filter((line) => !line.endsWith('/volumes'))).toEqual([])
  })
})
