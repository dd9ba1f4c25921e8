/** The demo's own registry and daemon: started, killed, ended. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeDemoImages } from './images.ts'
import { apiGet, childrenOf, freePort } from './machine.ts'
import { berth, berthFile, check, DemoFailure, type Stage, say, until } from './stage.ts'

/** Other addresses than a berth that already runs on this machine has. */
const network = { subnet: '10.220.0.0/16', serviceSubnet: '10.221.0.0/16' }

/** The name server of all containers: the first address of the default network. */
export const nameServer = '10.220.0.1'

export class Platform {
  readonly #stage: Stage
  #registryProcess: ChildProcess | undefined
  #keeper: ChildProcess | undefined
  registry = ''

  constructor(stage: Stage) {
    this.#stage = stage
  }

  /** Starts the embedded registry and fills it with the demo's images. */
  async startRegistry(): Promise<void> {
    this.registry = `127.0.0.1:${await freePort()}`
    const args = [
      'registry',
      'serve',
      '--addr',
      this.registry,
      '--root',
      join(this.#stage.folder, 'registry'),
      '--anonymous',
      'write',
    ]
    this.#registryProcess = this.#spawn(args, 'registry.log')
    await until('the registry answers', 10_000, async () => {
      const response = await fetch(`http://${this.registry}/v2/`)
      return response.ok ? true : undefined
    })
    await makeDemoImages(this.registry, AbortSignal.timeout(120_000))
    say(`  ✓ busybox, redis:7, guestbook-web:v1 and guestbook-web:v2 are at ${this.registry}`)
  }

  /** Starts keeper and daemon, and waits until the API answers. */
  async startDaemon(): Promise<void> {
    const config = join(this.#stage.folder, 'config.json')
    await writeFile(
      config,
      JSON.stringify({ registries: { 'docker.io': { mirrors: [`http://${this.registry}`] } }, network }),
    )
    const { root, run } = this.#stage
    this.#keeper = this.#spawn(['daemon', '--root', root, '--run', run, '--config', config], 'daemon.log')
    await until('the daemon answers', 20_000, async () => {
      if (this.#keeper?.exitCode !== null)
        throw new Error(`berth daemon ended with exit code ${this.#keeper?.exitCode}`)
      await apiGet(this.#stage, '/version')
      return true
    })
    say(`  ✓ berth daemon listens on ${run}/berth.sock`)
  }

  /** The process that `berth daemon` became. */
  get keeperPid(): number {
    return this.#keeper?.pid ?? 0
  }

  /** The Node daemon: the keeper's child that runs Node. */
  async daemonPid(): Promise<number> {
    return until('the keeper has a daemon', 10_000, async () => {
      for (const pid of childrenOf(this.keeperPid)) {
        if ((await readFile(`/proc/${pid}/cmdline`, 'utf8')).includes('daemon.cjs')) return pid
      }
      return undefined
    })
  }

  /**
   * Ends daemon and registry. With `force` whatever state the demo is in, containers and folders too: `berth system
   * reset`, which needs no daemon. What that cannot remove stays, to be looked at.
   */
  async end(options: { force: boolean }): Promise<void> {
    const isReset = options.force && (await this.#reset())
    for (const child of [this.#keeper, this.#registryProcess]) {
      if (!child || child.exitCode !== null || child.signalCode !== null) continue
      child.ref()
      const closed = once(child, 'exit')
      child.kill('SIGTERM')
      await closed
    }
    if (!options.force) check(true, 'the daemon ended')
    else if (isReset) await rm(this.#stage.folder, { recursive: true, force: true })
  }

  async #reset(): Promise<boolean> {
    const { root, run } = this.#stage
    try {
      await berth(this.#stage, 'system', 'reset', '--force', '--root', root, '--run', run)
      return true
    } catch (error) {
      say(`  ${(error as Error).message}`)
      return false
    }
  }

  /** One line that ends a demo that was kept. */
  endCommand(): string {
    const { folder, root, run } = this.#stage
    return `${berthFile} system reset --force --root ${root} --run ${run}; kill ${this.#registryProcess?.pid}; rm -r ${folder}`
  }

  /** The end of the daemon's log, for a failure. */
  async showLog(): Promise<void> {
    const log = await readFile(join(this.#stage.folder, 'daemon.log'), 'utf8').catch(() => '')
    if (log !== '') say(`\nThe daemon's log ends with:\n${log.trim().split('\n').slice(-15).join('\n')}`)
  }

  #spawn(args: readonly string[], log: string): ChildProcess {
    const file = openSync(join(this.#stage.folder, log), 'a')
    const child = spawn(berthFile, args, {
      env: this.#stage.environment,
      stdio: ['ignore', file, file],
      detached: true,
    })
    child.unref()
    closeSync(file)
    child.on('error', (error) => {
      throw new DemoFailure(error.message)
    })
    return child
  }
}
