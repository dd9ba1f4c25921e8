import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scaledMs } from '../support/time.ts'
import { TestDaemon } from '../tools/daemon.ts'
import { apiGet, census } from './census.ts'

const many = 50
const limits = { timeout: scaledMs(30_000), interval: 200 }
const forever = "trap 'exit 0' TERM; sleep 10000 & wait"
let daemon: TestDaemon
let clean: Awaited<ReturnType<typeof census>>

beforeAll(async () => {
  daemon = await TestDaemon.start()
  expect(await daemon.berth(['pull', 'busybox'])).toMatchObject({ code: 0 })
  clean = await census(daemon)
})
afterAll(() => daemon?.[Symbol.asyncDispose]())

const ids = async () =>
  (await apiGet<{ Id: string }[]>(daemon, '/v1.47/containers/json')).map((container) => container.Id)

describe(`${many} at once`, () => {
  it('containers all run, and leave nothing', async () => {
    const run = ['run', '-d', 'busybox', 'sh', '-c', forever]
    const runs = await Promise.all(Array.from({ length: many }, () => daemon.berth(run)))
    expect(runs.filter(({ code }) => code !== 0)).toEqual([])
    expect((await ids()).sort()).toEqual(runs.map(({ stdout }) => stdout.trim()).sort())
    expect(await daemon.berth(['rm', '-f', ...(await ids())])).toMatchObject({ code: 0 })
    await expect.poll(() => census(daemon), limits).toEqual(clean)
  })

  it('pods of a Deployment all run, go when it is scaled down, and leave nothing', async () => {
    const chart = join(daemon.folder, 'many')
    await mkdir(join(chart, 'templates'), { recursive: true })
    await writeFile(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: many\nversion: 0.1.0\n')
    await writeFile(
      join(chart, 'templates/app.yaml.hbs'),
      `
apiVersion: berth.dev/v1
kind: App
metadata: {name: many}
spec: {services: {web: {image: busybox, replicas: {{Values.n}}, command: [sh, -c, "${forever}"]}}}
`,
    )
    for (const n of [many, 1, many]) {
      const scale = ['upgrade', '--install', 'many', chart, '--set', `n=${n}`, '--wait', '--timeout', '60s']
      expect(await daemon.berth(scale)).toMatchObject({ code: 0 })
      await expect.poll(ids, limits).toHaveLength(n)
    }
    expect(await daemon.berth(['uninstall', 'many', '--wait'])).toMatchObject({ code: 0 })
    await expect.poll(() => census(daemon), limits).toEqual(clean)
  })
})
