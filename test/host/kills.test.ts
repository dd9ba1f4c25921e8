import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LoadReport } from '../demo/load.ts'
import { startTime } from '../demo/snapshot.ts'
import { scaledMs } from '../support/time.ts'
import { TestDaemon } from '../tools/daemon.ts'
import { apiGet, type Census, census, descriptors } from './census.ts'

let daemon: TestDaemon
const chart = join(import.meta.dirname, '../../charts-examples/guestbook')
const limits = { timeout: scaledMs(30_000), interval: 100 }

beforeAll(async () => {
  daemon = await TestDaemon.start({ registry: 'demo' })
  const { code, stderr } = await daemon.berth(['install', 'guestbook', chart, '--wait', '--timeout', '60s'])
  expect(code, stderr).toBe(0)
})
afterAll(async () => {
  await daemon?.berth(['uninstall', 'guestbook', '--ignore-not-found', '--wait'])
  await daemon?.[Symbol.asyncDispose]()
})

interface Life {
  readonly name: string
  readonly id: string
  readonly pid: number
  readonly started: string
}

/** All running containers with the process of each. */
async function living(): Promise<Life[]> {
  const list = await apiGet<{ Id: string; Names: string[] }[]>(daemon, '/v1.47/containers/json')
  const found = await Promise.all(
    list.map(async ({ Id, Names: [name = ''] }) => {
      const { State } = await apiGet<{ State: { Pid: number } }>(daemon, `/v1.47/containers/${Id}/json`)
      return { name, id: Id, pid: State.Pid, started: startTime(State.Pid) }
    }),
  )
  return found.sort((a, b) => (a.id < b.id ? -1 : 1))
}

async function parentOf(pid: number): Promise<number> {
  return Number(/^PPid:\s*(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1])
}

async function relays(): Promise<number[]> {
  const own = `berth-relay of ${await daemon.daemonPid()}`
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const title = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')
    if (title.split('\0')[0] === own) found.push(Number(name))
  }
  return found
}

/** A victim's name → kills it, and resolves when berth is whole again; gives the container that was lost with it. */
const victims: Readonly<Record<string, () => Promise<Life | undefined>>> = {
  async daemon() {
    await daemon.killDaemon()
    return undefined
  },
  async keeper() {
    await daemon.stop('SIGKILL')
    await daemon.startAgain()
    return undefined
  },
  async 'keeper and daemon'() {
    process.kill(await daemon.daemonPid(), 'SIGKILL')
    await daemon.stop('SIGKILL')
    await daemon.startAgain()
    return undefined
  },
  async supervisor() {
    // That one that runs the longest: each in turn.
    const [victim] = (await living())
      .filter(({ name }) => name.includes('_web_'))
      .sort((a, b) => Number(a.started) - Number(b.started))
    if (!victim) throw new Error('No web container runs')
    process.kill(await parentOf(victim.pid), 'SIGKILL')
    await expect
      .poll(async () => {
        const webs = (await living()).filter(({ name }) => name.includes('_web_'))
        return webs.length === 2 && webs.every(({ id }) => id !== victim.id)
      }, limits)
      .toBe(true)
    return victim
  },
  async relay() {
    const pids = await relays()
    expect(pids.length).toBeGreaterThan(0)
    for (const pid of pids) process.kill(pid, 'SIGKILL')
    return undefined
  },
}

/** A request through the name of a service, as the name server of all containers tells it now. */
async function resolves(): Promise<string> {
  const script = `const r = new (require('node:dns').promises.Resolver)(); r.setServers(['10.210.0.1'])
    r.resolve4('guestbook-web.default.svc.cluster.local').then(([a]) => console.log(a), (e) => console.log(String(e)))`
  return (await daemon.exec([process.execPath, '-e', script])).stdout.trim()
}

interface Held extends Census {
  readonly daemon: number
  readonly keeper: number
}

async function held(): Promise<Held> {
  const pid = await daemon.daemonPid()
  return {
    ...(await census(daemon)),
    daemon: await descriptors(pid),
    keeper: await descriptors(daemon.keeperPid),
  }
}

describe('kill -9 under load', () => {
  it('of any process, twenty times, loses no request, no container and leaves nothing', {
    timeout: scaledMs(600_000),
  }, async () => {
    const { spec } = await apiGet<{ spec: { clusterIP: string } }>(
      daemon,
      '/api/v1/namespaces/default/services/guestbook-web',
    )
    const urls = ['http://127.0.0.1:8080/healthz', `http://${spec.clusterIP}/healthz`]
    const load = daemon.spawn([process.execPath, join(import.meta.dirname, 'load-process.ts'), ...urls])
    let text = ''
    load.stdout?.on('data', (chunk) => {
      text += chunk
    })
    const kills: { at: number; name: string; lost: boolean }[] = []
    let first: Held | undefined
    for (let round = 0; round < 4; round++) {
      for (const [name, kill] of Object.entries(victims)) {
        const at = `${name}, round ${round}`
        const before = await living()
        const began = Date.now()
        const lost = await kill()
        kills.push({ at: began, name, lost: lost !== undefined })
        const now = await living()
        expect(now, at).toHaveLength(before.length)
        expect(now, at).toEqual(expect.arrayContaining(before.filter(({ id }) => id !== lost?.id)))
        expect(await resolves(), at).toBe(spec.clusterIP)
        expect(await daemon.berth(['run', '--rm', 'busybox', 'true']), at).toMatchObject({ code: 0 })
      }
      await sleep(2000)
      // A pod keeps its last ended container: from the second round on each of both has one.
      if (round === 1) first = await held()
    }
    if (!first) throw new Error('Nothing was counted')
    const { daemon: open, ...rest } = first
    await expect.poll(held, limits).toMatchObject(rest)
    // Not more than a daemon with less of a life behind it: what is open varies with the requests at work.
    await expect.poll(async () => (await held()).daemon, limits).toBeLessThanOrEqual(open)
    load.stdin?.end()
    await once(load, 'close')
    const report = JSON.parse(text) as LoadReport
    expect(report.requests).toBeGreaterThan(1000)
    // Who kills a supervisor kills its container: what it was answering is lost, and what comes before it is noticed.
    const spared = report.failures.filter(
      ({ begun }) => !kills.some(({ at, lost }) => lost && begun > at - 5000 && begun < at + 1000),
    )
    expect(
      spared.map((failure) => ({ ...failure, after: kills.findLast(({ at }) => at < failure.failed) })),
    ).toEqual([])
  })
})
