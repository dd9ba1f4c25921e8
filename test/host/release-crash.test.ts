import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ReleaseOperation } from '../../engine/release/operation.ts'
import { stepKinds } from '../../engine/release/plan.ts'
import { scaledMs } from '../support/time.ts'
import { TestDaemon } from '../tools/daemon.ts'
import { apiGet, census } from './census.ts'

/** A chart that has every kind of step: hooks, a service that another needs, an object that each version renames. */
const chart: Readonly<Record<string, string>> = {
  'Chart.yaml': 'apiVersion: v2\nname: shop\nversion: 0.1.0\n',
  'values.yaml': 'version: v1\n',
  'templates/app.yaml.hbs': `
apiVersion: berth.dev/v1
kind: App
metadata: {name: shop}
spec:
  services:
    db:
      image: busybox
      command: [sh, -c, "trap 'exit 0' TERM; sleep 10000 & wait"]
    web:
      image: busybox
      replicas: 2
      command:
        - sh
        - -c
        - mkdir /tmp/www; echo $VERSION > /tmp/www/index.html; trap 'exit 0' TERM; httpd -f -p 8080 -h /tmp/www & wait
      env: {VERSION: {{quote Values.version}} }
      ports: [{port: 80, target: 8080, publish: 8090}]
      ready: {http: /, port: 8080}
      needs: [db]
`,
  'templates/extra.yaml.hbs': `
apiVersion: v1
kind: ConfigMap
metadata: {name: "extra-{{Values.version}}"}
`,
  'templates/hook.yaml': `
apiVersion: batch/v1
kind: Job
metadata:
  name: shop-hook
  annotations:
    helm.sh/hook: pre-install,post-install,pre-upgrade,post-rollback,pre-delete
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: hook, image: busybox, command: ["true"]}]
`,
}

let daemon: TestDaemon
let dying = ''
const place = () => join(daemon.folder, 'chart')
const flags = ['--wait', '--timeout', '60s', '--history-max', '3']
const commands = {
  install: () => ['install', 'shop', place(), ...flags.slice(0, 3)],
  upgrade: (version: string) => ['upgrade', 'shop', place(), '--set', `version=${version}`, ...flags],
  rollback: () => ['rollback', 'shop', ...flags],
  uninstall: () => ['uninstall', 'shop', ...flags.slice(0, 3)],
}
/** The kind of each step by its id, as the operations told. */
const kindOf = new Map<string, string>()
const died = new Set<string>()
let deaths = 0

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bd-'))
  dying = join(folder, 'die')
  daemon = await TestDaemon.start({
    program: [process.execPath, join(import.meta.dirname, '../../engine/daemon/main.ts')],
    env: { NODE_OPTIONS: `--import=${join(import.meta.dirname, 'dying.ts')}`, BERTH_DIE_AT: dying },
  })
  for (const [name, text] of Object.entries(chart)) {
    await mkdir(dirname(join(place(), name)), { recursive: true })
    await writeFile(join(place(), name), text)
  }
})
afterAll(async () => {
  await daemon?.berth([...commands.uninstall(), '--ignore-not-found'])
  await daemon?.[Symbol.asyncDispose]()
  await rm(dirname(dying), { recursive: true, force: true })
})

/**
 * Runs a command whose daemon dies at a point of the journal, and waits until a later daemon has ended the operation.
 * False when the operation never came to the point.
 */
async function dieIn(args: readonly string[], point: string): Promise<boolean> {
  await writeFile(dying, point)
  const { code, stderr } = await daemon.berth(args)
  const reached = !existsSync(dying)
  await rm(dying, { force: true })
  if (!reached) expect(code, stderr).toBe(0)
  await expect
    .poll(phases, { timeout: scaledMs(90_000), message: `${args[0]} killed at ${point}` })
    .not.toContain('Running')
  if (!reached) return false
  died.add(await readFile(`${dying}.died`, 'utf8'))
  // A keeper waits longer after each end of its daemon: a new one begins anew.
  if (++deaths % 4 === 0) {
    await daemon.stop()
    await daemon.startAgain()
  }
  return true
}

async function phases(): Promise<string[]> {
  const path = '/apis/berth.dev/v1/namespaces/default/releaseoperations'
  const { items } = await apiGet<{ items: ReleaseOperation[] }>(daemon, path).catch(() => ({
    items: [{ status: { phase: 'Running', progress: [] } } as unknown as ReleaseOperation],
  }))
  for (const { status } of items)
    for (const progress of status?.progress ?? [])
      if (progress.type === 'step') kindOf.set(progress.step, progress.kind)
  const failed = items.find(({ status }) => status?.phase === 'Failed')
  if (failed) throw new Error(JSON.stringify(failed.status))
  return items.map(({ status }) => status?.phase ?? 'Running')
}

/** Every answer of many through the published port, each once. */
async function answers(): Promise<string[]> {
  const script = `Promise.all(Array.from({ length: 40 }, () => fetch('http://127.0.0.1:8090/').then((r) => r.text())))
    .then((all) => console.log(JSON.stringify([...new Set(all)])))`
  const { stdout, stderr } = await daemon.exec([process.execPath, '-e', script])
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout)
}

/** The application is complete, of one version only, and everything that is recorded says so. */
async function expectComplete(version: string, at: string): Promise<void> {
  expect(await answers(), at).toEqual([`${version}\n`])
  const history = JSON.parse((await daemon.berth(['history', 'shop', '-o', 'json'])).stdout)
  const statuses = history.map(({ status }: { status: string }) => status)
  expect(statuses.at(-1), at).toBe('deployed')
  expect(new Set(statuses.slice(0, -1)), at).toEqual(new Set(statuses.length > 1 ? ['superseded'] : []))
  const values = JSON.parse((await daemon.berth(['get', 'values', 'shop', '-a', '-o', 'json'])).stdout)
  expect(values.version, at).toBe(version)
  const { items } = await apiGet<{ items: { metadata: { name: string } }[] }>(
    daemon,
    '/api/v1/namespaces/default/configmaps',
  )
  expect(
    items.map(({ metadata }) => metadata.name).filter((name) => name.startsWith('extra-')),
    at,
  ).toEqual([`extra-${version}`])
  // Two of web, one of db, and nothing of what was before.
  await expect.poll(containers, { timeout: scaledMs(30_000), message: at }).toHaveLength(3)
}

async function containers(): Promise<string[]> {
  const all = await apiGet<{ Names: string[] }[]>(daemon, '/v1.47/containers/json?all=1')
  return all.map(({ Names }) => Names[0] ?? '')
}

/** The operation's end first, then after its first record, its first step, … */
const pointAt = (k: number) => (k < 0 ? 'end' : String(k))

describe('a daemon that is killed after a recorded step', () => {
  let clean: Awaited<ReturnType<typeof census>>

  it('of install and of uninstall ends with all of the application, or nothing', {
    timeout: scaledMs(600_000),
  }, async () => {
    clean = await census(daemon)
    for (let k = -1, going = { install: true, uninstall: true }; going.install || going.uninstall; k++) {
      const at = `killed at ${pointAt(k)}`
      going.install = await dieIn(commands.install(), pointAt(k))
      await expectComplete('v1', `install ${at}`)
      going.uninstall = await dieIn(commands.uninstall(), pointAt(k))
      expect((await daemon.berth(['list', '-a', '-q'])).stdout, `uninstall ${at}`).toBe('')
      await expect
        .poll(() => census(daemon), { timeout: scaledMs(30_000), message: `uninstall ${at}` })
        .toEqual(clean)
    }
  })

  it('of upgrade and of rollback ends with one version', { timeout: scaledMs(900_000) }, async () => {
    expect(await daemon.berth(commands.install())).toMatchObject({ code: 0 })
    const whole = await census(daemon)
    for (let k = -1, going = true; going; k++) {
      const version = `v${k + 3}`
      const upgraded = await dieIn(commands.upgrade(version), pointAt(k))
      await expectComplete(version, `upgrade killed at ${pointAt(k)}`)
      const rolledBack = await dieIn(commands.rollback(), pointAt(k))
      await expectComplete('v1', `rollback killed at ${pointAt(k)}`)
      await expect.poll(() => census(daemon), { timeout: scaledMs(30_000) }).toEqual(whole)
      going = upgraded || rolledBack
    }
    expect(await daemon.berth(commands.uninstall())).toMatchObject({ code: 0 })
    await expect.poll(() => census(daemon), { timeout: scaledMs(30_000) }).toEqual(clean)
  })

  it('was killed after a step of each kind', () => {
    const kinds = [...died].filter((step) => step !== '').map((step) => kindOf.get(step))
    expect(new Set(kinds)).toEqual(new Set(Object.keys(stepKinds)))
  })
})
