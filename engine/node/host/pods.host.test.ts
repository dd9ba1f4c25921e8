import { readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../base/host/clock.ts'
import { removeCgroups } from '../../container/host/cgroups.ts'
import { type Bench, openBench, remains } from '../../container/host/containers.testkit.ts'
import { controllers } from '../../control/controllers.ts'
import { ControlLoop } from '../../control/host/loop.ts'
import type { KubeObject } from '../../object/meta.ts'
import type { Pod } from '../../object/types.generated.ts'
import { cgroupFolders } from '../../runtime/oci/cgroups.ts'
import { seededRandom } from '../../simulation/random.ts'
import { World } from '../../simulation/world.ts'
import { PodVolumes } from './pod-volumes.ts'
import { Pods } from './pods.ts'

let bench: Bench
let daemon: Daemon
const events: string[] = []
const now = () => systemClock.now()
const unready: string[] = []
const world = new World({
  random: seededRandom(now()),
  now,
  changed: (object) => {
    const conditions = (object as Pod).status?.conditions ?? []
    if (
      object.kind === 'Pod' &&
      conditions.some(({ type, status }) => type === 'Ready' && status === 'False')
    )
      unready.push(object.metadata.name ?? '')
    daemon?.notice(object)
  },
})

/** The daemon's part: controllers and node over one world and real containers. */
class Daemon implements AsyncDisposable {
  readonly #abort = new AbortController()
  readonly #loop: ControlLoop
  readonly pods: Pods

  constructor({ containers, sandboxes, engine }: Bench) {
    const { view } = world
    const log = engine.log
    const signal = this.#abort.signal
    const writer = {
      write: async (write: Parameters<World['write']>[0]) => world.write(write),
      record: () => undefined,
    }
    this.#loop = new ControlLoop({ controllers, view, writer, clock: systemClock, log, signal })
    const folder = join(engine.root, 'pods')
    const volumes = new PodVolumes({
      folder,
      volumes: { ensure: (name) => engine.volumes.ensure(name, { anonymous: false }) },
      mounter: {
        mountTmpfs: async () => undefined,
        unmount: (target) => engine.overlays.unmount(target),
      },
      tokens: { issue: async ({ name }) => `token of ${name}` },
    })
    this.pods = new Pods({
      engine: containers,
      sandboxes,
      cgroups: { remove: (uid) => removeCgroups(cgroupFolders(engine.cgroups, uid)) },
      images: {
        ...engine.images,
        get: (name) => engine.images.get(name),
        pull: async () => Promise.reject(new Error('not there')),
      },
      volumes,
      reporter: {
        report: async (pod, status) => void world.update({ ...pod, status }, 'status'),
        finish: async (pod) => world.finish(pod),
        record: (pod, event) => events.push(`${pod.metadata.name} ${event.reason} ${event.message}`),
      },
      clock: systemClock,
      log,
      signal,
      logs: join(engine.root, 'logs'),
      facts: { address: '192.0.2.1', cpuMilli: 2000, memoryBytes: 2 ** 30 },
      settings: {
        nodeName: 'here',
        domain: 'cluster.local',
        dnsAddress: '10.210.0.1',
        hostSearch: [],
        log: { maxSizeBytes: 1e6, maxFiles: 2 },
      },
      view: {
        pods: () => view.list('Pod'),
        pod: (namespace, name) => view.get('Pod', namespace, name),
        configMap: (namespace, name) => view.get('ConfigMap', namespace, name),
        secret: (namespace, name) => view.get('Secret', namespace, name),
        services: (namespace) => view.list('Service', namespace),
      },
    })
  }

  notice(object: KubeObject): void {
    this.#loop.notice(object)
    this.pods.notice(object)
  }

  async start(): Promise<void> {
    await this.pods.recover()
    for (const object of world.all()) this.#loop.notice(object)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort()
    await this.#loop[Symbol.asyncDispose]()
    await this.pods[Symbol.asyncDispose]()
  }
}

beforeAll(async () => {
  bench = await openBench()
  daemon = new Daemon(bench)
  world.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } })
  world.create({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'here' }, status: { addresses: [] } })
})

afterAll(async () => {
  await daemon[Symbol.asyncDispose]()
  await bench[Symbol.asyncDispose]()
})

const metadata = { name: 'web', namespace: 'shop' }
const sh = (name: string, line: string, more: object = {}) => ({
  name,
  image: 'busybox',
  command: ['sh', '-c', line],
  imagePullPolicy: 'IfNotPresent',
  ...more,
})
const makePod = (spec: object, name = 'web') =>
  world.create({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop' },
    spec: { terminationGracePeriodSeconds: 2, ...spec },
  })
const pod = (name = 'web') => world.view.get('Pod', 'shop', name)

async function until<T>(look: () => T | undefined | false, what: string, limitMs = 20_000): Promise<T> {
  const end = now() + limitMs
  for (;;) {
    const found = look()
    if (found) return found
    if (now() > end)
      throw new Error(
        `${what}: ${JSON.stringify(
          world.view.list('Pod').map((p: Pod) => p.status),
          null,
          1,
        )} ${events.join('\n')}`,
      )
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function logOf(name: string, container: string): Promise<string> {
  const run = bench.containers.list().find((r) => r.settings.name.startsWith(`k8s_${container}_${name}_`))
  let text = ''
  const options = { stdout: true, stderr: true }
  if (run)
    for await (const line of bench.containers.logs(run.id, options, AbortSignal.timeout(5_000)))
      text += Buffer.from(line.content).toString()
  return text
}

async function removed(name = 'web'): Promise<void> {
  world.remove({ kind: 'Pod', namespace: 'shop', name })
  await until(() => !pod(name), `${name} goes`)
}

function configMap(data: object): void {
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'conf', namespace: 'shop' }, data }
  world.create(object)
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
    world.create(secret)
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
    expect(events).toEqual(
      expect.arrayContaining([expect.stringContaining('web Started Started container app')]),
    )
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
    const map = world.view.get('ConfigMap', 'shop', 'conf')
    world.update({ ...map, data: { 'site.conf': 'changed' } } as unknown as KubeObject)
    await until(() => pod()?.status?.containerStatuses?.[0]?.ready, 'the pod gets ready')
    const id = pod()?.status?.containerStatuses?.[0]?.containerID?.replace('berth://', '') ?? ''
    const session = await bench.containers.exec(
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
    expect(events.join('\n')).toContain('Killing Stopping container app')
  })

  it('of a Deployment survive the daemon, keep their processes, and go with it', {
    timeout: 90_000,
  }, async () => {
    world.create({
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
    const available = () => world.view.get('Deployment', 'shop', 'web')?.status?.availableReplicas === 3
    await until(available, 'three are available')
    const pids = () =>
      bench.containers
        .list()
        .filter((r) => r.state.status === 'running')
        .map((r) => r.state.pid)
        .sort()
    const before = pids()
    expect(before).toHaveLength(3)
    await daemon[Symbol.asyncDispose]()
    bench = await bench.reopen()
    daemon = new Daemon(bench)
    const victim = world.view.list('Pod', 'shop')[0]
    unready.length = 0
    await daemon.start()
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(pids()).toEqual(before)
    expect(unready, 'pods that were taken out of their services').toEqual([])
    world.remove({ kind: 'Pod', namespace: 'shop', name: victim?.metadata.name ?? '' })
    await until(
      () => !pod(victim?.metadata.name) && available() && pids().length === 3,
      'the missing one is made again',
    )
    world.remove({ kind: 'Deployment', namespace: 'shop', name: 'web' })
    await until(() => world.view.list('Pod', 'shop').length === 0, 'all pods go')
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
    if (object) world.finish(object)
    await until(() => bench.containers.list().length === 0, 'its container goes')
  })

  it('leave nothing', async () => {
    await until(() => bench.sandboxes.list().length === 0, 'all sandboxes go')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(bench.containers.list()).toEqual([])
    expect(bench.sandboxes.list()).toEqual([])
    expect(await readdir(join(bench.engine.root, 'pods'))).toEqual([])
    expect((await remains(bench)).filter((line) => !line.endsWith('/volumes'))).toEqual([])
  })
})
