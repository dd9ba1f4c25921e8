import { readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scaledMs } from '../../../test/support/time.ts'
import { remains } from '../../container/host/containers.testkit.ts'
import type { KubeObject } from '../../object/meta.ts'
import { PodBench, sh } from './pods.testkit.ts'

let pods: PodBench
beforeAll(async () => {
  pods = await PodBench.open()
})
afterAll(async () => {
  await pods?.[Symbol.asyncDispose]()
})

const metadata = { name: 'web', namespace: 'shop' }
const makePod = (spec: object) => pods.makePod(spec)
const pod = (name?: string) => pods.pod(name)
const until: PodBench['until'] = (look, what) => pods.until(look, what)
const logOf = (name: string, container: string) => pods.logOf(name, container)
const removed = () => pods.removed()

function configMap(data: object): void {
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'conf', namespace: 'shop' }, data }
  pods.world.create(object)
}

describe('pods on a real machine', () => {
  it('run: init containers, variables, files, a shared folder, one network', async () => {
    configMap({ 'site.conf': 'port 80', GREETING: 'hello' })
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'key', namespace: 'shop' },
      stringData: { token: 'geheim' },
    }
    pods.world.create(secret)
    makePod({
      restartPolicy: 'Never',
      securityContext: { fsGroup: 4242 },
      initContainers: [
        sh('init', 'echo made by init > /work/file', {
          volumeMounts: [{ name: 'work', mountPath: '/work' }],
        }),
      ],
      containers: [
        sh(
          'app',
          'cat /work/file /etc/site/site.conf /keys/token; echo; echo "$GREETING $NAME $IP"; hostname; ls -ln /work | tail -1; ip addr show eth0 | grep "inet "; echo bye > /dev/termination-log',
          {
            envFrom: [{ configMapRef: { name: 'conf' } }],
            env: [
              { name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
              { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
            ],
            volumeMounts: [
              { name: 'work', mountPath: '/work' },
              { name: 'conf', mountPath: '/etc/site', readOnly: true },
              { name: 'key', mountPath: '/keys' },
            ],
          },
        ),
      ],
      volumes: [
        { name: 'work', emptyDir: {} },
        { name: 'conf', configMap: { name: 'conf' } },
        { name: 'key', secret: { secretName: 'key' } },
      ],
    })
    await until(() => pod()?.status?.phase === 'Succeeded', 'the pod succeeds')
    const text = await logOf('web', 'app')
    const address = pod()?.status?.podIP
    expect(text).toMatch(/made by init\nport 80geheim\nhello web 10\.210\.\d+\.\d+\nweb\n/)
    expect(text).toContain(`inet ${address}/`)
    expect(text).toMatch(/ 4242 +.* file/)
    expect(pod()?.status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({
      exitCode: 0,
      reason: 'Completed',
      message: 'bye\n',
    })
    const told = ['init', 'app'].flatMap((name) => [
      'web Pulled Container image "busybox" already present on machine',
      `web Created Created container: ${name}`,
      `web Started Started container ${name}`,
    ])
    expect(pods.events).toEqual(told)
    await removed()
  })

  it('get ready by a probe, see changed files, restart when they crash, and stop at their signal', async () => {
    makePod({
      containers: [
        sh(
          'app',
          'trap "echo got TERM; exit 0" TERM; while :; do sleep 0.1; [ -e /tmp/crash ] && exit 3; done',
          {
            readinessProbe: {
              exec: { command: ['grep', '-q', 'changed', '/etc/site/site.conf'] },
              periodSeconds: 1,
            },
            volumeMounts: [{ name: 'conf', mountPath: '/etc/site' }],
          },
        ),
      ],
      volumes: [{ name: 'conf', configMap: { name: 'conf' } }],
    })
    await until(() => pod()?.status?.phase === 'Running', 'the pod runs')
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    expect(pod()?.status?.containerStatuses?.[0]?.ready).toBe(false)
    const map = pods.world.view.get('ConfigMap', 'shop', 'conf')
    pods.world.update({ ...map, data: { 'site.conf': 'changed' } } as unknown as KubeObject)
    await until(() => pod()?.status?.containerStatuses?.[0]?.ready, 'the pod gets ready')
    const id = pod()?.status?.containerStatuses?.[0]?.containerID?.replace('berth://', '') ?? ''
    const session = await pods.bench.containers.exec(
      id,
      { argv: ['touch', '/tmp/crash'], terminal: false, stdin: false },
      AbortSignal.timeout(5_000),
    )
    await session.exited
    const again = await until(
      () => pod()?.status?.containerStatuses?.find((s) => s.restartCount === 1 && s.state?.running),
      'it restarts',
    )
    expect(again.lastState?.terminated).toMatchObject({ exitCode: 3, reason: 'Error' })
    await removed()
    expect(pods.events.join('\n')).toContain('Killing Stopping container app')
  })

  it('that fail may have the end of their log as their last words', async () => {
    const terminationMessagePolicy = 'FallbackToLogsOnError'
    makePod({
      restartPolicy: 'Never',
      containers: [
        sh('bad', 'seq 1 100; echo oh no >&2; exit 3', { terminationMessagePolicy }),
        sh('said', 'echo log; echo message > /dev/termination-log; exit 4', { terminationMessagePolicy }),
        sh('good', 'echo log', { terminationMessagePolicy }),
      ],
    })
    await until(() => pod()?.status?.phase === 'Failed', 'the pod fails')
    const words = pod()?.status?.containerStatuses?.map(({ state }) => state?.terminated?.message)
    const lines = Array.from({ length: 79 }, (_, i) => `${i + 22}\n`).join('')
    expect(words).toEqual([`${lines}oh no\n`, 'message\n', undefined])
    await removed()
  })

  it('of a Deployment survive the daemon, keep their processes, and go with it', {
    timeout: 90_000,
  }, async () => {
    pods.world.create({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: 3,
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: {
            terminationGracePeriodSeconds: 1,
            containers: [
              sh('app', 'trap "exit 0" TERM; while :; do sleep 0.1; done', {
                readinessProbe: { exec: { command: ['true'] }, periodSeconds: 1 },
              }),
            ],
          },
        },
      },
    })
    const available = () => pods.world.view.get('Deployment', 'shop', 'web')?.status?.availableReplicas === 3
    await until(available, 'three are available')
    const pids = () =>
      pods.bench.containers
        .list()
        .filter((r) => r.state.status === 'running')
        .map((r) => r.state.pid)
        .sort()
    const before = pids()
    expect(before).toHaveLength(3)
    await pods.stop()
    const victim = pods.world.view.list('Pod', 'shop')[0]
    pods.unready.length = 0
    await pods.start()
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(pids()).toEqual(before)
    expect(pods.unready, 'pods that were taken out of their services').toEqual([])
    pods.world.remove({ kind: 'Pod', namespace: 'shop', name: victim?.metadata.name ?? '' })
    await until(
      () => !pod(victim?.metadata.name) && available() && pids().length === 3,
      'the missing one is made again',
    )
    pods.world.remove({ kind: 'Deployment', namespace: 'shop', name: 'web' })
    await until(() => pods.world.view.list('Pod', 'shop').length === 0, 'all pods go')
  })

  it('may have the network of the host, and leaves its name alone', async () => {
    const name = await readFile('/proc/sys/kernel/hostname', 'utf8')
    makePod({
      restartPolicy: 'Never',
      hostNetwork: true,
      containers: [sh('app', 'readlink /proc/self/ns/net')],
    })
    await until(() => pod()?.status?.phase === 'Succeeded', 'the pod succeeds')
    expect((await logOf('web', 'app')).trim()).toBe(await readlink('/proc/self/ns/net'))
    expect(await readFile('/proc/sys/kernel/hostname', 'utf8')).toBe(name)
    expect(pod()?.status).toMatchObject({ podIP: '192.0.2.1', hostIP: '192.0.2.1' })
    await removed()
  })

  it('are killed when their objects are gone at once', async () => {
    makePod({ containers: [sh('app', 'sleep 1000')] })
    await until(() => pod()?.status?.phase === 'Running', 'the pod runs')
    const object = pod()
    if (object) pods.world.finish(object)
    await until(() => pods.bench.containers.list().length === 0, 'its container goes')
  })

  it('leave nothing', async () => {
    await until(() => pods.bench.sandboxes.list().length === 0, 'all sandboxes go')
    expect(pods.bench.containers.list()).toEqual([])
    // A pod's volumes and logs go after its sandbox.
    for (const folder of ['pods', 'logs']) {
      const left = () => readdir(join(pods.bench.engine.root, folder))
      await expect.poll(left, { timeout: scaledMs(10_000) }).toEqual([])
    }
    expect((await remains(pods.bench)).filter((line) => !line.endsWith('/volumes'))).toEqual([])
  })
})
