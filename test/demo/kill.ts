/** The demo's steps that kill: a container, the daemon, and daemon with keeper, each under load. */
import { Resolver } from 'node:dns/promises'
import { startLoad } from './load.ts'
import { containers, isAlive, type RunningContainer } from './machine.ts'
import { nameServer, type Platform } from './platform.ts'
import type { Guestbook } from './release.ts'
import { startTime } from './snapshot.ts'
import { check, type Stage, say, until } from './stage.ts'

const settings = { perSecond: 120, timeoutMs: 5000 }

export async function killContainer(stage: Stage, guestbook: Guestbook): Promise<void> {
  const load = startLoad(urls(guestbook), settings)
  await pause(1000)
  const [victim] = await containers(stage, '_web_')
  check(victim && victim.pid > 0, `kill -9 of a web container, PID ${victim?.pid}`)
  const killed = Date.now()
  process.kill(victim.pid, 'SIGKILL')
  await until('the pod has a new container', 30_000, async () => {
    const now = await containers(stage, '_web_')
    return now.length === 2 && now.every(({ id }) => id !== victim.id) ? true : undefined
  })
  await pause(2000)
  const { failures, requests } = await load.stop()
  const late = failures.filter(({ begun }) => begun > killed + 1000)
  say(
    `    ${requests} requests, ${failures.length} failed, ${late.length} of them begun more than 1 s after the kill`,
  )
  check(late.length === 0, 'no request begun more than 1 s after the kill failed')
  check(
    failures.every(({ begun }) => begun > killed - settings.timeoutMs),
    'only requests in flight at the kill, or begun within 1 s, failed',
  )
}

export async function killDaemon(stage: Stage, guestbook: Guestbook, platform: Platform): Promise<void> {
  const before = await living(stage)
  const names = new NamedLoad()
  const load = startLoad(urls(guestbook), settings)
  names.start()
  await pause(500)
  const pid = await platform.daemonPid()
  process.kill(pid, 'SIGKILL')
  say(`    kill -9 of the daemon, PID ${pid}`)
  await until('a new daemon answers', 20_000, async () => {
    const now = await platform.daemonPid()
    return now !== pid && (await containers(stage, '')).length > 0 ? true : undefined
  })
  await pause(1500)
  const report = await load.stop()
  const named = await names.stop()
  check(
    report.failures.length === 0,
    `0 of ${report.requests} requests by address failed${reason(report.failures)}`,
  )
  check(
    named.errors.length === 0,
    `0 of ${named.lookups} requests with a new name lookup each failed${named.errors[0] ? `: ${named.errors[0]}` : ''}`,
  )
  checkSame(before, await living(stage))
}

export async function killKeeper(stage: Stage, guestbook: Guestbook, platform: Platform): Promise<void> {
  const before = await living(stage)
  const load = startLoad(urls(guestbook), settings)
  await pause(300)
  const daemon = await platform.daemonPid()
  const keeper = platform.keeperPid
  process.kill(keeper, 'SIGKILL')
  process.kill(daemon, 'SIGKILL')
  await until('both have ended', 5000, async () => (isAlive(daemon) || isAlive(keeper) ? undefined : true))
  const [victim] = before.filter(({ name }) => name.includes('_web_'))
  say(`    kill -9 of keeper and daemon, PIDs ${keeper} and ${daemon}; dead for 5 s`)
  await pause(5000)
  const report = await load.stop()
  check(
    report.failures.length === 0,
    `0 of ${report.requests} requests by address failed without keeper and daemon${reason(report.failures)}`,
  )
  for (const { pid } of before) check(isAlive(pid), `PID ${pid} runs on`)
  check(victim, 'a web container ends while nobody watches')
  process.kill(victim.pid, 'SIGKILL')
  await platform.startDaemon()
  await until('what was missing is restored', 30_000, async () => {
    const now = await containers(stage, '_web_')
    return now.length === 2 && now.every(({ pid }) => pid !== victim.pid && isAlive(pid)) ? true : undefined
  })
  check(true, 'what was missing is restored')
  checkSame(
    before.filter(({ id }) => id !== victim.id),
    await living(stage),
  )
}

type Living = RunningContainer & { readonly started: string }

async function living(stage: Stage): Promise<Living[]> {
  return (await containers(stage, '')).map((container) => ({
    ...container,
    started: startTime(container.pid),
  }))
}

function checkSame(before: readonly Living[], after: readonly Living[]): void {
  const same = before.every(({ id, pid, started }) =>
    after.some((now) => now.id === id && now.pid === pid && now.started === started),
  )
  check(same, 'the containers are the same processes as before')
}

function reason(failures: readonly { readonly reason: string }[]): string {
  return failures[0] ? `, but ${failures.length} did: ${failures[0].reason}` : ''
}

function urls(guestbook: Guestbook): string[] {
  return [`${guestbook.published}/healthz`, `${guestbook.clusterIp}/healthz`]
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Requests one after the other, each with a name lookup of its own, as a program without a cache makes them. */
class NamedLoad {
  readonly #errors: string[] = []
  #lookups = 0
  #stopped = false
  #running: Promise<void> = Promise.resolve()

  start(): void {
    this.#running = this.#loop()
  }

  async stop(): Promise<{ lookups: number; errors: readonly string[] }> {
    this.#stopped = true
    await this.#running
    return { lookups: this.#lookups, errors: this.#errors }
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      this.#lookups++
      const resolver = new Resolver({ timeout: 5000, tries: 1 })
      resolver.setServers([nameServer])
      try {
        const [address] = await resolver.resolve4('guestbook-web.default.svc.cluster.local')
        const response = await fetch(`http://${address}/healthz`, { signal: AbortSignal.timeout(5000) })
        if (!response.ok) this.#errors.push(`HTTP ${response.status}`)
      } catch (error) {
        this.#errors.push((error as Error).message)
      }
      await pause(10)
    }
  }
}
