import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { kill } from 'node:process'
import { scaledMs } from '../../../test/support/time.ts'
import { systemClock } from '../../base/host/clock.ts'
import { removeCgroups } from '../../container/host/cgroups.ts'
import { type Bench, openBench } from '../../container/host/containers.testkit.ts'
import { controllers } from '../../control/controllers.ts'
import { ControlLoop } from '../../control/host/loop.ts'
import type { KubeObject } from '../../object/meta.ts'
import type { Pod } from '../../object/types.generated.ts'
import { cgroupFolders } from '../../runtime/oci/cgroups.ts'
import { seededRandom } from '../../simulation/random.ts'
import { World } from '../../simulation/world.ts'
import { PodVolumes } from './pod-volumes.ts'
import { Pods } from './pods.ts'

/** What host tests of the node share: controllers and node over one world of objects and real containers. */

const now = () => systemClock.now()

/** A container of busybox that runs a line of shell. */
export const sh = (name: string, line: string, more: object = {}) => ({
  name,
  image: 'busybox',
  command: ['sh', '-c', line],
  imagePullPolicy: 'IfNotPresent',
  ...more,
})

/** The daemon's part. */
class Daemon implements AsyncDisposable {
  readonly #abort = new AbortController()
  readonly #loop: ControlLoop
  readonly #world: World
  readonly pods: Pods

  constructor(bench: Bench, world: World, events: string[]) {
    const { containers, sandboxes, engine, relay } = bench
    this.#world = world
    const { view } = world
    const log = engine.log
    const signal = this.#abort.signal
    const writer = {
      write: async (write: Parameters<World['write']>[0]) => world.write(write),
      record: () => undefined,
    }
    this.#loop = new ControlLoop({ controllers, view, writer, clock: systemClock, log, signal })
    const volumes = new PodVolumes({
      folder: join(engine.root, 'pods'),
      volumes: { ensure: (name) => engine.volumes.ensure(name, { anonymous: false }) },
      mounter: {
        mountTmpfs: (target) => relay.mount({ source: 'tmpfs', target, type: 'tmpfs', options: 'mode=1777' }),
        unmount: (target) => relay.unmount(target),
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
        workloads: (namespace, name) =>
          [view.get('Deployment', namespace, name), view.get('StatefulSet', namespace, name)].filter(
            (one) => one !== undefined,
          ),
      },
    })
  }

  notice(object: KubeObject): void {
    this.#loop.notice(object)
    this.pods.notice(object)
  }

  async start(): Promise<void> {
    await this.pods.recover()
    for (const object of this.#world.all()) this.#loop.notice(object)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort()
    await this.#loop[Symbol.asyncDispose]()
    await this.pods[Symbol.asyncDispose]()
  }
}

/** A namespace `shop` on a node `here`. */
export class PodBench implements AsyncDisposable {
  readonly world: World
  readonly events: string[] = []
  /** Names of pods, as often as they were told to be not ready. */
  readonly unready: string[] = []
  #bench: Bench
  #daemon: Daemon | undefined

  private constructor(bench: Bench) {
    this.#bench = bench
    this.world = new World({
      random: seededRandom(now()),
      now,
      changed: (object) => {
        const conditions = (object as Pod).status?.conditions ?? []
        const isUnready = conditions.some(({ type, status }) => type === 'Ready' && status === 'False')
        if (object.kind === 'Pod' && isUnready) this.unready.push(object.metadata.name ?? '')
        this.#daemon?.notice(object)
      },
    })
  }

  static async open(): Promise<PodBench> {
    const bench = await openBench()
    await mkdir(join(bench.engine.root, 'pods'))
    const made = new PodBench(bench)
    made.#daemon = new Daemon(bench, made.world, made.events)
    made.world.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } })
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'here' }, status: { addresses: [] } }
    made.world.create(node)
    return made
  }

  get bench(): Bench {
    return this.#bench
  }

  /** The daemon ends as it does when it is stopped; pods go on. */
  async stop(): Promise<void> {
    await this.#daemon?.[Symbol.asyncDispose]()
    this.#daemon = undefined
  }

  /** The machine is switched off: no process, namespace or mount of berth's is left, and nothing was recorded. */
  async switchOff(): Promise<void> {
    await this.stop()
    const { containers, engine, relay } = this.#bench
    const pids = containers.list().map(({ state }) => state.pid)
    await this.#bench.containers[Symbol.asyncDispose]()
    for (const pid of pids) {
      if (pid === 0) continue
      const status = await readFile(`/proc/${pid}/status`, 'utf8')
      const supervisor = Number(/^PPid:\s*(\d+)/m.exec(status)?.[1])
      if (supervisor > 1) kill(supervisor, 'SIGKILL')
      kill(pid, 'SIGKILL')
    }
    for (const name of await readdir(join(engine.run, 'ns'))) await relay.unpin(join(engine.run, 'ns', name))
    for (const id of await readdir(join(engine.root, 'sandboxes')))
      await relay.unmount(join(engine.root, 'sandboxes', id, 'shm'))
  }

  /** Everything is opened anew. */
  async start(): Promise<void> {
    this.#bench = await this.#bench.reopen()
    this.#daemon = new Daemon(this.#bench, this.world, this.events)
    await this.#daemon.start()
  }

  makePod(spec: object, name = 'web', metadata: object = {}): KubeObject {
    return this.world.create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'shop', ...metadata },
      spec: { terminationGracePeriodSeconds: 2, ...spec },
    })
  }

  pod(name = 'web'): Pod | undefined {
    return this.world.view.get('Pod', 'shop', name)
  }

  async until<T>(look: () => T | undefined | false, what: string): Promise<T> {
    const end = now() + scaledMs(20_000)
    for (;;) {
      const found = look()
      if (found) return found
      if (now() > end) {
        const pods = this.world.view.list('Pod').map(({ status }: Pod) => status)
        throw new Error(`${what}: ${JSON.stringify(pods, null, 1)} ${this.events.join('\n')}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  /** What a pod's container wrote. */
  async logOf(name: string, container: string): Promise<string> {
    const { containers } = this.#bench
    const run = containers.list().find((r) => r.settings.name.startsWith(`k8s_${container}_${name}_`))
    let text = ''
    if (!run) return text
    const options = { stdout: true, stderr: true }
    for await (const line of containers.logs(run.id, options, AbortSignal.timeout(scaledMs(5_000))))
      text += Buffer.from(line.content).toString()
    return text
  }

  /** What a command in a pod's running container wrote. */
  async exec(container: string, line: string, name = 'web'): Promise<string> {
    const { containers } = this.#bench
    const prefix = `k8s_${container}_${name}_`
    const run = containers
      .list()
      .find((r) => r.settings.name.startsWith(prefix) && r.state.status === 'running')
    const exec = { argv: ['sh', '-c', line], terminal: false, stdin: false }
    const session = await containers.exec(run?.id ?? prefix, exec, AbortSignal.timeout(scaledMs(10_000)))
    const chunks: Buffer[] = []
    for await (const chunk of session.stdout) chunks.push(chunk as Buffer)
    await session.exited
    return Buffer.concat(chunks).toString()
  }

  async removed(name = 'web'): Promise<void> {
    this.world.remove({ kind: 'Pod', namespace: 'shop', name })
    await this.until(() => !this.pod(name), `${name} goes`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await this.#bench[Symbol.asyncDispose]()
  }
}
