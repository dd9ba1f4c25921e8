import { describe, expect, it } from 'vitest'
import { DyingCluster, MemoryCluster } from '../../../test/support/memory-cluster.ts'
import type { Chart } from '../../chart/chart.ts'
import { loadChart } from '../../chart/load.ts'
import type { Cluster } from '../cluster.ts'
import { type StepKind, stepKinds } from '../plan.ts'
import { decodeRecord } from '../record.ts'
import { ReleaseEngine } from './engine.ts'
import type { Progress } from './progress.ts'

const signal = new AbortController().signal
const bytes = (text: string) => Buffer.from(text)

const job = (name: string, annotations: string, more = '') =>
  `apiVersion: batch/v1\nkind: Job\nmetadata: {name: ${name}, annotations: {${annotations}}}\n${more}`

async function chart(version: string, templates: Record<string, string>): Promise<Chart> {
  return loadChart(
    [
      { name: 'Chart.yaml', content: bytes(`apiVersion: v2\nname: shop\nversion: ${version}\n`) },
      ...Object.entries(templates).map(([name, text]) => ({
        name: `templates/${name}`,
        content: bytes(text),
      })),
    ],
    'shop',
  )
}

const app = (image: string, extra = '') => `apiVersion: berth.dev/v1
kind: App
metadata: {name: shop}
spec:
  secrets: {token: {generate: 16}}
  services:
    web: {image: "${image}", ports: [80], needs: [db], env: {T: {secret: token}}}
    db: {image: db, ports: [5432], volumes: {data: /data}}
  volumes: {data: }
  jobs: {migrate: {image: "${image}", before: web, needs: [db]}}
${extra}`

const hooks = `${job('pre', 'helm.sh/hook: "pre-install,pre-upgrade,pre-rollback,pre-delete", helm.sh/hook-weight: "-1", helm.sh/hook-delete-policy: "hook-succeeded,before-hook-creation"')}
---
${job('post', 'helm.sh/hook: "post-install,post-upgrade,post-rollback,post-delete"')}`

const one = () =>
  chart('1.0.0', {
    'app.yaml.hbs': app('web:1'),
    'old.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: old}\ndata: {v: "1"}\n',
    'hooks.yaml': hooks,
  })
const two = () => chart('2.0.0', { 'app.yaml.hbs': app('web:2'), 'hooks.yaml': hooks })

function engineOn(cluster: Cluster) {
  let byte = 0
  return new ReleaseEngine({
    cluster,
    clock: { now: () => Date.now() },
    random: (size) => Uint8Array.from({ length: size }, () => byte++ % 248),
  })
}

const base = { name: 'shop', namespace: 'default', values: {} }
const options = { wait: true, timeoutMs: 5000, historyMax: 2 }

/** What is there, in words: objects with their image, records with their status. */
function seen(cluster: MemoryCluster) {
  const objects = [...cluster.objects.values()].filter(({ kind }) => kind !== 'Namespace')
  const records = objects
    .filter(({ type }) => type === 'helm.sh/release.v1')
    .map(decodeRecord)
    .map(({ record, journal }) => `${record.version} ${record.info.status}${journal ? ' unfinished' : ''}`)
  const things = objects
    .filter(({ type }) => type !== 'helm.sh/release.v1')
    .map(({ kind, metadata }) => `${kind}/${metadata.name}`)
    .sort()
  const web = objects.find(({ kind }) => kind === 'Deployment')
  const image = (web?.spec as { template: { spec: { containers: [{ image: string }] } } } | undefined)
    ?.template.spec.containers[0].image
  return { records, things, image }
}

describe('ReleaseEngine', () => {
  it('installs in the order of needs, upgrades, prunes, rolls back and uninstalls', async () => {
    const cluster = new MemoryCluster()
    const engine = engineOn(cluster)
    await engine.install({ ...base, chart: await one(), options }, { signal })
    const writes = cluster.log.filter((line) => line.startsWith('apply') && !line.includes('sh.helm'))
    const place = (name: string) => writes.findIndex((line) => line.startsWith(`apply ${name}`))
    expect(place('Job/pre')).toBeLessThan(place('Secret/shop-token'))
    expect(place('StatefulSet/shop-db')).toBeLessThan(place('Job/shop-migrate'))
    expect(place('Job/shop-migrate')).toBeLessThan(place('Deployment/shop-web'))
    expect(place('Deployment/shop-web')).toBeLessThan(place('Job/post'))
    expect(seen(cluster).records).toEqual(['1 deployed'])
    const secret = cluster.objects.get('/Secret/default/shop-token')

    await engine.upgrade({ ...base, chart: await two(), options }, { signal })
    expect(seen(cluster)).toMatchObject({ image: 'web:2', records: ['1 superseded', '2 deployed'] })
    expect(seen(cluster).things).not.toContain('ConfigMap/old')
    expect(cluster.objects.get('/Secret/default/shop-token')?.data).toEqual(secret?.data)

    await engine.rollback({ ...base, options }, { signal })
    expect(seen(cluster)).toMatchObject({ image: 'web:1', records: ['2 superseded', '3 deployed'] })
    expect(seen(cluster).things).toContain('ConfigMap/old')

    const { kept } = await engine.uninstall({ ...base, options }, { signal })
    expect(kept).toEqual([])
    expect(seen(cluster)).toEqual({ image: undefined, records: [], things: ['Job/post'] })
  })

  it('refuses an install over another, a second command at once, and a name that is no name', async () => {
    const cluster = new MemoryCluster()
    const engine = engineOn(cluster)
    const loaded = await one()
    const first = engine.install({ ...base, caller: 'ann', chart: loaded, options }, { signal })
    await expect(engine.rollback(base, { signal })).rejects.toThrow('install by ann is at work on it since')
    await first
    await expect(engine.install({ ...base, chart: await one() }, { signal })).rejects.toThrow(
      'cannot reuse a name that is still in use',
    )
    await expect(engine.install({ ...base, name: 'No_', chart: await one() }, { signal })).rejects.toThrow(
      'invalid release name',
    )
    await expect(engine.upgrade({ ...base, name: 'nope', chart: await one() }, { signal })).rejects.toThrow(
      '"nope" has no deployed releases',
    )
  })

  it('writes nothing when an object is invalid, belongs to others or has an unknown kind', async () => {
    const cluster = new MemoryCluster()
    const engine = engineOn(cluster)
    const bad = await chart('1.0.0', {
      'a.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n',
      'b.yaml': '# b\napiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {invalid: true}\n',
    })
    const before = cluster.log.length
    await expect(engine.install({ ...base, chart: bad }, { signal })).rejects.toMatchObject({
      code: 'UNPROCESSABLE',
      where: { file: 'shop/templates/b.yaml', line: 2 },
    })
    cluster.put({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'old', namespace: 'default' } })
    await expect(engine.install({ ...base, chart: await one() }, { signal })).rejects.toThrow(
      'invalid ownership metadata',
    )
    cluster.unknownKinds.add('Widget')
    const unknown = await chart('1.0.0', {
      'w.yaml': 'apiVersion: x/v1\nkind: Widget\nmetadata: {name: w}\n',
    })
    await expect(engine.install({ ...base, chart: unknown }, { signal })).rejects.toMatchObject({
      message: expect.stringContaining('no matches for kind "Widget"'),
      where: { file: 'shop/templates/w.yaml', line: 2 },
    })
    await expect(
      engine.install({ ...base, namespace: 'other', chart: await one() }, { signal }),
    ).rejects.toThrow('namespaces "other" not found')
    expect(cluster.log.length).toBe(before)
  })

  it('names what is not ready, records the failure, and undoes it when asked to', async () => {
    const cluster = new MemoryCluster()
    const engine = engineOn(cluster)
    cluster.stuck.add('shop-web')
    const slow = { ...options, timeoutMs: 10 }
    await expect(engine.install({ ...base, chart: await one(), options: slow }, { signal })).rejects.toThrow(
      'Deployment "shop-web" has 0 of 1 replicas ready after 10ms',
    )
    expect(seen(cluster).records).toEqual(['1 failed'])
    cluster.stuck.clear()
    await engine.upgrade({ ...base, chart: await one(), options }, { signal })
    cluster.stuck.add('web:2')
    const undo = { ...slow, rollbackOnFailure: true }
    await expect(engine.upgrade({ ...base, chart: await two(), options: undo }, { signal })).rejects.toThrow(
      'release shop failed, and has been rolled back due to rollback-on-failure being set: Job "shop-migrate',
    )
    expect(seen(cluster).records).toEqual(['3 failed', '4 deployed'])
    expect(seen(cluster).image).toBe('web:1')
  })

  it('uninstalls at any time: what is at work is stopped first', async () => {
    const cluster = new MemoryCluster()
    const engine = engineOn(cluster)
    cluster.stuck.add('shop-web')
    const slow = { ...options, timeoutMs: 60_000, rollbackOnFailure: true }
    const first = engine
      .install({ ...base, chart: await one(), options: slow }, { signal })
      .catch((error) => error)
    await expect.poll(() => cluster.log).toContain('apply Deployment/shop-web')
    await engine.uninstall({ ...base, caller: 'bob', options: { hooks: false } }, { signal })
    expect(await first).toBeInstanceOf(Error)
    expect(seen(cluster)).toEqual({ image: undefined, records: [], things: [] })
  })

  it('passes over a damaged record and tells', async () => {
    const cluster = new MemoryCluster()
    await engineOn(cluster).install({ ...base, chart: await one() }, { signal })
    cluster.put({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name: 'sh.helm.release.v1.bad.v1',
        namespace: 'default',
        labels: { owner: 'helm', name: 'bad' },
      },
      type: 'helm.sh/release.v1',
      data: { release: 'AAAA' },
    })
    const told: unknown[] = []
    const engine = new ReleaseEngine({
      cluster,
      clock: { now: () => Date.now() },
      random: (size) => new Uint8Array(size),
      onUnreadable: (error) => told.push(error),
    })
    const found = await engine.records.list({}, signal)
    expect(found.map(({ record }) => record.name)).toEqual(['shop'])
    expect(String(told[0])).toContain('Cannot read release record "sh.helm.release.v1.bad.v1"')
  })

  it('keeps what asks to be kept and names it', async () => {
    const cluster = new MemoryCluster()
    const engine = engineOn(cluster)
    const kept =
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: k, annotations: {helm.sh/resource-policy: keep}}\n'
    await engine.install(
      { ...base, chart: await chart('1.0.0', { 'k.yaml': kept, 'app.yaml.hbs': app('web:1') }) },
      { signal },
    )
    cluster.put({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data-shop-db-0', namespace: 'default' },
    })
    const result = await engine.uninstall({ ...base, options: { keepHistory: true } }, { signal })
    expect(result.kept).toEqual([
      { kind: 'ConfigMap', name: 'k' },
      { kind: 'PersistentVolumeClaim', name: 'data-shop-db-0' },
    ])
    expect(seen(cluster).things).toContain('ConfigMap/k')
    expect(seen(cluster).records).toEqual(['1 uninstalled'])
  })

  it('completes every operation that was ended at any write, and reaches every step', async () => {
    const reached = new Set<StepKind>()
    const watch = (progress: Progress) => {
      if (progress.type === 'step') reached.add(progress.kind)
    }
    const run = { signal, onProgress: watch }
    const operations: Record<string, (engine: ReleaseEngine) => Promise<unknown>> = {
      install: async (engine) => engine.install({ ...base, chart: await one(), options }, run),
      upgrade: async (engine) => engine.upgrade({ ...base, chart: await two(), options }, run),
      rollback: (engine) => engine.rollback({ ...base, options }, run),
      uninstall: (engine) => engine.uninstall({ ...base, options }, run),
    }
    let start = new MemoryCluster()
    for (const [name, operate] of Object.entries(operations)) {
      const whole = start.clone()
      await operate(engineOn(whole))
      const ends = [seen(start), seen(whole)]
      for (let limit = 1; ; limit++) {
        const cluster = start.clone()
        const dying = new DyingCluster(cluster, limit)
        const outcome = await operate(engineOn(dying)).then(
          () => 'done',
          (error: unknown) => error,
        )
        if (dying.writes < limit) {
          expect(outcome).toBe('done')
          break
        }
        expect(String(outcome), `${name}, write ${limit}`).toMatch(/done|killed/)
        await engineOn(cluster).resume(run)
        expect(ends, `${name}, write ${limit}`).toContainEqual(seen(cluster))
      }
      start = whole
    }
    expect([...Object.keys(stepKinds)].filter((kind) => !reached.has(kind as StepKind))).toEqual([])
  }, 30_000)
})
