/** A daemon for tests: built, started as a person starts it, in a network namespace and folders of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { launcherFile } from '../../engine/runtime/host/launcher.ts'
import { Relay } from '../../engine/runtime/host/relay.ts'
import { fillDemoRegistry } from './demo-registry.ts'

const top = join(import.meta.dirname, '../..')
const berthFile = join(top, 'cli/berth')

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
}

export interface StartOptions {
  /** docker.io is a registry in the namespace that has `busybox`, or all images of the demo. */
  readonly registry?: boolean | 'demo'
  /** What starts the daemon, without its flags: another program than the built `berth daemon`. */
  readonly program?: readonly string[]
  /** Environment of keeper and daemon. */
  readonly env?: Readonly<Record<string, string>>
  /** Where the root folder lies, by default in the daemon's own folder. */
  readonly root?: string
}

/**
 * A keeper and its daemon. Only processes that this started are ended; disposal removes containers, the daemon's
 * network, the namespace and the folder.
 */
export class TestDaemon implements AsyncDisposable {
  readonly folder: string
  readonly root: string
  readonly run: string
  readonly namespace: string
  readonly #relay: Relay
  readonly #program: readonly string[]
  readonly #env: Readonly<Record<string, string>>
  readonly #children: ChildProcess[] = []
  #keeper: ChildProcess | undefined
  #log = ''

  private constructor(folder: string, relay: Relay, { program, env, root }: StartOptions) {
    this.folder = folder
    this.root = root ?? join(folder, 'root')
    this.run = join(folder, 'run')
    this.namespace = join(folder, 'net')
    this.#relay = relay
    this.#program = program ?? [berthFile, 'daemon']
    this.#env = env ?? {}
  }

  static async start(options: StartOptions = {}): Promise<TestDaemon> {
    const { registry = true } = options
    const folder = await mkdtemp(join(tmpdir(), 'be-'))
    const relay = await Relay.open({ launcher: launcherFile(), log: () => undefined })
    const daemon = new TestDaemon(folder, relay, options)
    try {
      await relay.pinNamespaces({ net: daemon.namespace })
      await writeFile(
        join(folder, 'config.json'),
        JSON.stringify({ registries: { 'docker.io': { mirrors: ['http://127.0.0.1:5000'] } } }),
      )
      if (registry === 'demo') await fillDemoRegistry(join(folder, 'registry'))
      if (registry) {
        const tool = join(
          import.meta.dirname,
          registry === 'demo' ? 'demo-registry.ts' : 'busybox-registry.ts',
        )
        const child = daemon.#inside(
          [process.execPath, tool, join(folder, 'registry'), '127.0.0.1:5000'],
          'pipe',
        )
        daemon.#children.push(child)
        await said(child, 'ready')
      }
      await daemon.startAgain()
      return daemon
    } catch (error) {
      await daemon[Symbol.asyncDispose]()
      throw error
    }
  }

  get host(): string {
    return `unix://${join(this.run, 'berth.sock')}`
  }

  get log(): string {
    return this.#log
  }

  /** Starts keeper and daemon; resolves when the daemon says that it is ready. */
  async startAgain(): Promise<void> {
    const flags = ['--root', this.root, '--run', this.run, '--config', join(this.folder, 'config.json')]
    const keeper = this.#inside([...this.#program, ...flags], 'pipe', this.#env)
    this.#keeper = keeper
    await said(keeper, '"ready"', (text) => {
      this.#log += text
    })
  }

  /** Runs `berth ARGS` in the daemon's namespace. */
  berth(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return this.exec([berthFile, ...args], options)
  }

  /** Runs any program in the daemon's namespace, with BERTH_HOST and DOCKER_HOST set. */
  async exec(argv: readonly string[], { input, env = {} }: RunOptions = {}): Promise<Ran> {
    const child = this.#inside(argv, 'pipe', env)
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input ?? '')
    let [stdout, stderr] = ['', '']
    child.stdout?.on('data', (chunk) => {
      stdout += chunk
    })
    child.stderr?.on('data', (chunk) => {
      stderr += chunk
    })
    const [code, signal] = await once(child, 'close')
    return { code: code ?? (signal === 'SIGKILL' ? 137 : 1), stdout, stderr }
  }

  /** The daemon's process; the keeper's is its parent. */
  async daemonPid(): Promise<number> {
    const keeper = this.#keeper?.pid ?? 0
    const children = await readFile(`/proc/${keeper}/task/${keeper}/children`, 'utf8')
    for (const pid of children.trim().split(' ').map(Number)) {
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      if (/daemon\.cjs|daemon\/main\.ts/.test(command)) return pid
    }
    throw new Error('The keeper has no daemon')
  }

  /** Kills the daemon; the keeper starts it again, and this resolves when it is ready. */
  async killDaemon(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const ready = (chunk: Buffer) => {
      if (String(chunk).includes('"ready"')) resolve()
    }
    this.#keeper?.stderr?.on('data', ready)
    process.kill(await this.daemonPid(), 'SIGKILL')
    await promise
    this.#keeper?.stderr?.off('data', ready)
  }

  /** Ends keeper and daemon with a signal; containers stay. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const keeper = this.#keeper
    this.#keeper = undefined
    if (!keeper || keeper.exitCode !== null || keeper.signalCode !== null) return
    const closed = once(keeper, 'close')
    keeper.kill(signal)
    await closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    // Also what a daemon that could not be asked any more has left.
    const place = ['--root', this.root, '--run', this.run]
    const reset = await this.berth(['system', 'reset', '--force', ...place])
    if (reset.code !== 0) throw new Error(reset.stderr)
    for (const child of this.#children) {
      if (child.exitCode !== null) continue
      const closed = once(child, 'close')
      child.kill('SIGKILL')
      await closed
    }
    await this.#relay.unpin(this.namespace)
    await this.#relay[Symbol.asyncDispose]()
    await rm(this.folder, { recursive: true, force: true })
  }

  /** The keeper's process. */
  get keeperPid(): number {
    return this.#keeper?.pid ?? 0
  }

  /** Starts a program in the daemon's namespace, with BERTH_HOST and DOCKER_HOST set. */
  spawn(argv: readonly string[]): ChildProcess {
    return this.#inside(argv, 'pipe')
  }

  #inside(argv: readonly string[], stdio: 'pipe', env: Readonly<Record<string, string>> = {}): ChildProcess {
    return spawn('nsenter', [`--net=${this.namespace}`, '--', ...argv], {
      stdio,
      env: {
        ...process.env,
        BERTH_HOST: this.host,
        DOCKER_HOST: `unix://${join(this.run, 'docker.sock')}`,
        DOCKER_CONFIG: join(this.folder, 'docker'),
        NO_COLOR: '1',
        ...env,
      },
    })
  }
}

/** Waits until a process has written a word; an end before that is an error with what it wrote. */
function said(child: ChildProcess, word: string, also?: (text: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = ''
    const read = (chunk: Buffer) => {
      also?.(String(chunk))
      text += chunk
      if (text.includes(word)) resolve()
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
    child.once('close', () => reject(new Error(`It ended before it said ${word}: ${text}`)))
  })
}
