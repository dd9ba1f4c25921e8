/** The demo's steps on releases: install, use, upgrade, roll back, a second release, uninstall. */
import { join } from 'node:path'
import { startLoad } from './load.ts'
import { clusterIp, containers, freePort } from './machine.ts'
import { berth, berthOutput, check, examples, type Stage, say } from './stage.ts'

export interface Guestbook {
  readonly port: number
  /** Base URLs through the published port and through the ClusterIP. */
  readonly published: string
  readonly clusterIp: string
}

const chart = join(examples, 'guestbook')
const entry = `signed at ${new Date().toISOString()}`

export async function installGuestbook(stage: Stage): Promise<Guestbook> {
  const port = await freePort()
  await berth(stage, 'install', 'guestbook', chart, '--set', `port=${port}`, '--wait', '--timeout', '60s')
  const running = await containers(stage, 'guestbook')
  check(running.filter(({ name }) => name.includes('_web_')).length === 2, 'two web containers run')
  check(running.filter(({ name }) => name.includes('_redis_')).length === 1, 'one Redis container runs')
  return {
    port,
    published: `http://127.0.0.1:${port}`,
    clusterIp: `http://${await clusterIp(stage, 'guestbook-web')}`,
  }
}

export async function useGuestbook(_stage: Stage, guestbook: Guestbook): Promise<void> {
  // As `curl -d` sends it, which the chart's notes show.
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const posted = await fetch(`${guestbook.clusterIp}/entries`, { method: 'POST', headers, body: entry })
  check(posted.ok, `POST ${guestbook.clusterIp}/entries answered ${posted.status}`)
  await checkEntry(guestbook.published)
  await checkEntry(guestbook.clusterIp)
}

async function checkEntry(base: string): Promise<void> {
  const response = await fetch(`${base}/entries`)
  check((await response.text()).includes(entry), `GET ${base}/entries has the entry`)
}

export async function upgradeAndRollBack(stage: Stage, guestbook: Guestbook): Promise<void> {
  const changes = [
    [
      'upgrade',
      'guestbook',
      chart,
      '--reuse-values',
      '--set',
      'image=guestbook-web:v2',
      '--wait',
      '--timeout',
      '60s',
    ],
    ['rollback', 'guestbook', '--wait', '--timeout', '60s'],
  ]
  for (const args of changes) {
    const load = startLoad([`${guestbook.published}/healthz`, `${guestbook.clusterIp}/healthz`], {
      perSecond: 120,
      timeoutMs: 5000,
    })
    await new Promise((resolve) => setTimeout(resolve, 500))
    await berth(stage, ...args)
    await new Promise((resolve) => setTimeout(resolve, 5000))
    const report = await load.stop()
    say(
      `    ${report.requests} requests, ${report.perSecond.toFixed(0)} a second: ${JSON.stringify(report.versions)}`,
    )
    check(report.perSecond >= 100, 'at least 100 requests a second')
    check(
      report.failures.length === 0,
      `0 of them failed${report.failures[0] ? `, but ${report.failures.length}: ${report.failures[0].reason}` : ''}`,
    )
    check(report.versions.v1 && report.versions.v2, 'both versions answered')
  }
  await berth(stage, 'history', 'guestbook')
  await checkEntry(guestbook.published)
}

export async function installFromRegistry(stage: Stage, registry: string): Promise<void> {
  const port = await freePort()
  await berth(stage, 'package', chart, '-d', stage.folder)
  await berth(
    stage,
    'push',
    join(stage.folder, 'guestbook-0.1.0.tgz'),
    `oci://${registry}/charts`,
    '--plain-http',
  )
  await berth(
    stage,
    'install',
    'second',
    `oci://${registry}/charts/guestbook`,
    '--version',
    '0.1.0',
    '--plain-http',
    '--set',
    `port=${port}`,
    '--wait',
    '--timeout',
    '60s',
  )
  const response = await fetch(`http://127.0.0.1:${port}/entries`)
  check(
    response.ok && !(await response.text()).includes(entry),
    'the second release answers with a guestbook of its own',
  )
  await berth(stage, 'list')
}

export async function cleanUp(stage: Stage): Promise<void> {
  await berth(stage, 'uninstall', 'second', '--wait', '--timeout', '60s')
  await berth(stage, 'uninstall', 'guestbook', '--wait', '--timeout', '60s')
  check((await containers(stage, '')).length === 0, 'no container runs')
  const names = (await berthOutput(stage, 'volume', 'ls', '-q')).split('\n').filter((name) => name !== '')
  say(`    kept volumes: ${names.join(', ')}`)
  check(
    names.length === 2 && names.every((name) => name.includes('data')),
    'each release left its volume, and nothing else',
  )
  await berth(stage, 'volume', 'rm', ...names)
}
