import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { hostTool } from '../../../test/tools/host-tool.ts'
import { systemClock } from '../../base/host/clock.ts'
import { openLog } from '../../base/host/log.ts'
import { Networks } from '../../network/host/networks.ts'
import { readExit } from '../../runtime/host/exit.ts'
import { launch, launcherFile } from '../../runtime/host/launcher.ts'
import { Relay } from '../../runtime/host/relay.ts'
import { Supervisor } from '../../runtime/host/supervisor.ts'
import type { Change, Collection } from '../../store/collection.ts'
import type { ContainerRecord, ContainerSettings, LogOptions } from '../container.ts'
import type { ImageSource, Launcher, VolumeSource } from '../ports.ts'
import { Containers } from './containers.ts'
import type { Engine } from './engine.ts'
import { observeMachine } from './machine.ts'
import { Sandboxes } from './sandboxes.ts'

/** What host tests of the engine share: an engine in folders and a network of its own, and an image of busybox. */

/** Records that survive a kill: the whole collection in one file, replaced by each write. */
class FileCollection<T> implements Collection<T> {
  readonly #path: string
  readonly #records: Map<string, T>

  constructor(path: string) {
    this.#path = path
    this.#records = new Map(existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : [])
  }

  get(key: string): T | undefined {
    return this.#records.get(key)
  }

  entries(): IterableIterator<[string, T]> {
    return this.#records.entries()
  }

  async write({ put = {}, remove = [] }: Change<T>): Promise<void> {
    for (const key of remove) this.#records.delete(key)
    for (const [key, value] of Object.entries(put)) this.#records.set(key, value)
    writeFileSync(this.#path, JSON.stringify([...this.#records]))
  }
}

const programs =
  'sh cat echo true false ls id sleep stty readlink kill ps hostname mount head seq env dd wc touch printf tty grep mkdir rm pwd httpd wget nc ip stat mknod chroot date trap'

/** One image, `busybox`: two layers, a volume folder with files, users. */
async function makeImage(folder: string): Promise<ImageSource> {
  const base = join(folder, '1')
  if (!existsSync(base)) {
    for (const name of ['bin', 'etc', 'proc', 'sys', 'tmp', 'data/inner']) {
      await mkdir(join(base, name), { recursive: true })
    }
    await copyFile((await hostTool('busybox')).file, join(base, 'bin/busybox'))
    for (const name of programs.split(' ')) await symlink('busybox', join(base, 'bin', name))
    await writeFile(
      join(base, 'etc/passwd'),
      'root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/home/web:/bin/sh\n',
    )
    await writeFile(join(base, 'etc/group'), 'root:x:0:\nweb:x:1000:\naudio:x:29:web\n')
    await writeFile(join(base, 'data/inner/file'), 'from the image\n')
    await mkdir(join(folder, '2'))
    await writeFile(join(folder, '2/top'), 'second layer\n')
  }
  const image = { id: `sha256:${'b'.repeat(64)}`, config: { config: { Cmd: ['sh'], Env: ['FROM=image'] } } }
  return {
    get: (ref) => (ref === 'busybox' || ref === image.id ? image : undefined),
    rootfs: async () => ({ folder, lower: ['2', '1'] }),
  }
}

function folderVolumes(root: string): VolumeSource {
  const folderOf = (name: string) => join(root, 'volumes', name, '_data')
  return {
    ensure: async (name) => {
      await mkdir(folderOf(name), { recursive: true })
      return { folder: folderOf(name) }
    },
    remove: (name) => rm(join(root, 'volumes', name), { recursive: true, force: true }),
  }
}

export interface Bench extends AsyncDisposable {
  readonly top: string
  readonly engine: Engine
  readonly relay: Relay
  readonly networks: Networks
  readonly sandboxes: Sandboxes
  readonly containers: Containers
  /** Lets go of everything as a clean stop of the daemon would, and opens it again. */
  reopen(): Promise<Bench>
  /** Stops the daemon's part; containers and folders stay. */
  stop(): Promise<void>
}

export interface BenchOptions {
  /** The folder of a bench that was there before; a new one is made otherwise. */
  readonly top?: string
  /** A chance to wrap the ports. */
  readonly wrap?: (engine: Engine) => Engine
}

const launcher: Launcher = {
  launch: (plan, signal) => launch(plan, {}, signal),
  connect: (path, signal) => Supervisor.connect(path, signal),
  readExit,
}

/** An engine whose "host" is a network namespace of its own. Disposing removes all that it made. */
export async function openBench(options: BenchOptions = {}): Promise<Bench> {
  const top = options.top ?? (await mkdtemp(join(tmpdir(), 'berth-')))
  const [root, run, netns] = [join(top, 'root'), join(top, 'run'), join(top, 'net')]
  for (const folder of [root, join(run, 's'), join(run, 'ns')])
    await mkdir(folder, { recursive: true, mode: 0o700 })
  const lines: string[] = []
  const log = openLog('debug', (line) => lines.push(line))
  if (!existsSync(netns)) {
    await using maker = await Relay.open({ launcher: launcherFile(), log })
    await maker.pinNamespaces({ net: netns })
  }
  const relay = await Relay.open({ launcher: launcherFile(), log, netns })
  const instance = basename(top).slice(-6).toLowerCase()
  const file = (name: string) => join(top, `${name}.json`)
  const networks = await Networks.open({
    relay,
    records: new FileCollection(file('networks')),
    leases: new FileCollection(file('leases')),
    instance,
    subnet: '10.210.0.0/16',
    serviceSubnet: '10.211.0.0/16',
    domain: 'cluster.local',
    log,
  })
  await networks.ensureDefault()
  const bare: Engine = {
    root,
    run,
    records: new FileCollection<ContainerRecord>(file('containers')),
    images: await makeImage(join(top, 'layers')),
    volumes: folderVolumes(root),
    networks,
    namespaces: relay,
    overlays: relay,
    launcher,
    clock: systemClock,
    log,
    ...(await observeMachine(instance)),
  }
  const engine = options.wrap?.(bare) ?? bare
  const sandboxes = await Sandboxes.open(engine, new FileCollection(file('sandboxes')))
  const containers = await Containers.open(engine, { sandboxes })
  const stop = async () => {
    await containers[Symbol.asyncDispose]()
    await networks.close()
    await relay[Symbol.asyncDispose]()
  }
  return {
    top,
    engine,
    relay,
    networks,
    sandboxes,
    containers,
    stop,
    reopen: async () => {
      await stop()
      return openBench({ top })
    },
    [Symbol.asyncDispose]: async () => {
      for (const { id } of containers.list()) await containers.remove(id, { force: true, volumes: true })
      for (const { id } of sandboxes.list()) await sandboxes.remove(id)
      await containers[Symbol.asyncDispose]()
      await networks.close({ remove: true })
      await relay[Symbol.asyncDispose]()
      await using last = await Relay.open({ launcher: launcherFile(), log })
      await last.unpin(netns)
      await rm(top, { recursive: true, force: true })
    },
  }
}

/** A container's settings with docker's defaults. */
export function settingsOf(over: Partial<ContainerSettings> = {}): ContainerSettings {
  return {
    name: '',
    image: 'busybox',
    labels: {},
    env: [],
    terminal: false,
    stdin: false,
    stdinOnce: false,
    mounts: [],
    networkMode: 'none',
    networks: [],
    ports: [],
    resources: {},
    restart: { name: 'no', maximumRetryCount: 0 },
    autoRemove: false,
    ...over,
  }
}

/** A container that runs a line of shell. */
export const shell = (line: string, over: Partial<ContainerSettings> = {}): ContainerSettings =>
  settingsOf({ cmd: ['sh', '-c', line], ...over })

/** What of the engine's is left on the machine: mounts, cgroups, pins, sockets, folders, supervisors. */
export async function remains(bench: Pick<Bench, 'top' | 'engine' | 'containers'>): Promise<string[]> {
  await bench.containers.settled()
  const { engine, top } = bench
  const found: string[] = []
  const mounts = await readFile('/proc/mounts', 'utf8')
  found.push(...mounts.split('\n').filter((line) => line.includes(top) && !line.includes(`${top}/net `)))
  for (const { mount } of engine.cgroups.hierarchies) {
    const names = await readdir(mount + engine.cgroups.parent, { withFileTypes: true }).catch(() => [])
    found.push(
      ...names.filter((e) => e.isDirectory()).map((e) => `${mount}${engine.cgroups.parent}/${e.name}`),
    )
  }
  const [inRun, inRoot] = [
    ['s', 'ns'].map((name) => join(engine.run, name)),
    ['containers', 'sandboxes'].map((name) => join(engine.root, name)),
  ]
  for (const folder of [...inRun, ...inRoot]) {
    found.push(...(await readdir(folder).catch(() => [])).map((name) => join(folder, name)))
  }
  return found
}

/** A device that needs no capability but is not docker's to give: loop-control. */
export const foreign =
  'mknod /tmp/loop c 10 237 && (: < /tmp/loop) 2>/dev/null && echo opened || echo refused'

/** What most tests do with a container. `get` gives the bench, which is opened after the tests are declared. */
export function driver(get: () => Bench) {
  const { signal } = new AbortController()
  const collect = async (id: string, options: Partial<LogOptions> = {}): Promise<string> => {
    const parts: Uint8Array[] = []
    const lines = get().containers.logs(id, { stdout: true, stderr: true, ...options }, signal)
    for await (const { content } of lines) parts.push(content)
    return Buffer.concat(parts).toString()
  }
  const started = async (settings: ContainerSettings): Promise<{ id: string; pid: number }> => {
    const { id } = await get().containers.create(settings, signal)
    await get().containers.start(id, signal)
    return { id, pid: get().containers.inspect(id).state.pid }
  }
  const remove = (id: string): Promise<void> => get().containers.remove(id, { force: true, volumes: true })
  /** Runs it to the end, and removes it. */
  const run = async (settings: ContainerSettings): Promise<{ code: number; output: string }> => {
    const { id } = await started(settings)
    const { exitCode } = await get().containers.wait(id, 'not-running', signal)
    const output = await collect(id)
    await get().containers.remove(id, { force: false, volumes: true })
    return { code: exitCode, output }
  }
  return { collect, started, remove, run }
}
