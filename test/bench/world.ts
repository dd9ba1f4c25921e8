/** The sides that the bench compares: berth's daemon and real dockerd, each in a network namespace of its own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { serveRegistry } from '../../engine/registry/server.ts'
import { launcherFile } from '../../engine/runtime/host/launcher.ts'
import { Relay } from '../../engine/runtime/host/relay.ts'
import { makeDemoImages } from '../demo/images.ts'
import { TestDaemon } from '../tools/daemon.ts'
import { hostTool } from '../tools/host-tool.ts'
import { HttpSide } from './http-side.ts'

const top = join(import.meta.dirname, '../..')
const registryAddress = '127.0.0.1:5000'

export interface Side {
  /** Docker's API on it. */
  readonly docker: HttpSide
  readonly socket: string
  /** File of the network namespace that it works in. */
  readonly namespace: string
}

export interface PeerSide extends Side {
  /** Runs a program in its namespace to its end. */
  readonly run: (argv: readonly string[], env: Readonly<Record<string, string>>) => Promise<void>
}

/** Opens each side on its first use; disposal ends and removes everything. */
export class World implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack()
  #images: Promise<string> | undefined
  #berth: Promise<Side & { daemon: TestDaemon }> | undefined
  #dockerd: Promise<PeerSide> | undefined

  /** berth's daemon with its keeper, as a person starts it. */
  berth(): Promise<Side & { daemon: TestDaemon }> {
    this.#berth ??= this.#openBerth()
    return this.#berth
  }

  dockerd(): Promise<PeerSide> {
    this.#dockerd ??= this.#openDockerd()
    return this.#dockerd
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }

  async #openBerth(): Promise<Side & { daemon: TestDaemon }> {
    const images = await this.#imageFolder()
    const daemon = this.#stack.use(await TestDaemon.start({ registry: false }))
    await this.#serveRegistry(daemon.namespace, images)
    const socket = join(daemon.run, 'docker.sock')
    const docker = this.#stack.use(new HttpSide(socket))
    for (const image of ['busybox', 'redis:7', 'guestbook-web:v1']) await docker.pull(image)
    return { docker, socket, namespace: daemon.namespace, daemon }
  }

  async #openDockerd(): Promise<PeerSide> {
    const images = await this.#imageFolder()
    const folder = await mkdtemp(join(tmpdir(), 'bd-'))
    this.#stack.defer(() => rm(folder, { recursive: true, force: true }))
    const relay = this.#stack.use(await Relay.open({ launcher: launcherFile(), log: () => undefined }))
    const namespace = join(folder, 'net')
    await relay.pinNamespaces({ net: namespace })
    this.#stack.defer(() => relay.unpin(namespace))
    const socket = join(folder, 's')
    await this.#serveRegistry(namespace, images)
    const config = join(folder, 'daemon.json')
    await writeFile(config, JSON.stringify({ 'registry-mirrors': [`http://${registryAddress}`] }))
    const { file, env } = await hostTool('dockerd')
    const daemon = this.#inside(
      namespace,
      ['unshare', '--mount', file].concat([
        ...['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec')],
        ...['--pidfile', join(folder, 'pid'), '--host', `unix://${socket}`, '--config-file', config],
      ]),
      { ...process.env, ...env },
    )
    await said(daemon, 'API listen')
    const docker = this.#stack.use(new HttpSide(socket))
    for (const image of ['busybox', 'redis:7', 'guestbook-web:v1']) await docker.pull(image)
    const run: PeerSide['run'] = async (argv, more) => {
      const [file = '', ...args] = ['nsenter', `--net=${namespace}`, '--', ...argv]
      await promisify(execFile)(file, args, { env: { ...process.env, ...more } })
    }
    return { docker, socket, namespace, run }
  }

  /** A registry's folder with the demo's images, made once. */
  #imageFolder(): Promise<string> {
    this.#images ??= demoImages()
    return this.#images
  }

  async #serveRegistry(namespace: string, folder: string): Promise<void> {
    const flags = ['--addr', registryAddress, '--root', folder, '--anonymous', 'read']
    const argv = [join(top, 'cli/berth'), 'registry', 'serve', ...flags]
    await said(this.#inside(namespace, argv, process.env), registryAddress)
  }

  #inside(namespace: string, argv: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
    const child = spawn('nsenter', [`--net=${namespace}`, '--', ...argv], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#stack.defer(() => end(child))
    return child
  }
}

async function demoImages(): Promise<string> {
  const folder = join(homedir(), '.cache/berth/bench/images-1')
  if (await exists(folder)) return folder
  console.log(`Making the demo's images in ${folder}`)
  await mkdir(dirname(folder), { recursive: true })
  const root = await mkdtemp(`${folder}.`)
  try {
    await using registry = await serveRegistry({ root, address: '127.0.0.1:0', anonymous: 'write' })
    await makeDemoImages(registry.address, AbortSignal.timeout(120_000))
    await rename(root, folder)
  } finally {
    await rm(root, { recursive: true, force: true })
  }
  return folder
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, 'close')
  child.kill('SIGTERM')
  await closed
}

/** Resolves when the process has written a word; what it writes later is read and dropped. */
function said(child: ChildProcess, word: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = ''
    const read = (chunk: Buffer) => {
      text = (text + chunk).slice(-20_000)
      if (text.includes(word)) resolve()
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
    child.once('close', () => reject(new Error(`It ended before it said ${word}: ${text}`)))
  })
}
