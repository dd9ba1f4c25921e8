import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { scaledMs } from '../../../test/support/time.ts'
import type { ContainerRecord } from '../container.ts'
import { type Bench, openBench, remains, shell } from './containers.testkit.ts'

const signal = new AbortController().signal
let bench: Bench

beforeAll(async () => {
  bench = await openBench()
})
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]()
})

/** Runs the scenario up to the step. What it printed, or nothing when it was killed. */
async function daemon(step: number, mode = ''): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const script = join(import.meta.dirname, 'crash.testkit.ts')
  execFile(
    process.execPath,
    [script, bench.top, String(step), mode],
    { timeout: scaledMs(60_000) },
    (error, stdout, stderr) => {
      if (error && error.signal !== 'SIGKILL') reject(new Error(`${error.message}\n${stderr}`))
      else resolve(stdout)
    },
  )
  return promise
}

/** What must hold of every record and of the machine after any recovery. */
async function check(records: readonly ContainerRecord[], step: number): Promise<void> {
  const at = `killed at step ${step}`
  expect(records.length, at).toBeLessThanOrEqual(1)
  const left = await remains(bench)
  for (const record of records) {
    expect(['created', 'running', 'exited'], at).toContain(record.state.status)
    const runs = record.state.status === 'running'
    expect(record.progress.step, at).toBe(runs ? 'up' : 'idle')
    expect(runs && existsSync(`/proc/${record.state.pid}`), at).toBe(runs)
    expect(Object.keys(record.networks), at).toEqual(runs ? ['bridge'] : [])
    if (!runs) expect(left, at).toEqual([join(bench.engine.root, 'containers', record.id)])
  }
  if (records.length === 0) expect(left, at).toEqual([])
  const members = bench.networks.inspect('bridge').endpoints.map((lease) => lease.sandboxId)
  const running = records.filter((record) => record.state.status === 'running').map((record) => record.id)
  expect(members, at).toEqual(running)
}

describe('a daemon that is killed', () => {
  it('at any step leaves nothing that its next start does not finish or remove', {
    timeout: scaledMs(300_000),
  }, async () => {
    await bench.stop()
    const total = Number(await daemon(0))
    expect(total).toBeGreaterThan(40)
    const seen = new Set<string>()
    for (let step = 1; step <= total; step++) {
      await daemon(step)
      bench = await openBench({ top: bench.top })
      // A process that was killed just before may still be found dying: its exit is recorded a moment later.
      await vi.waitFor(() => check(bench.containers.list(), step), scaledMs(5000))
      const records = bench.containers.list()
      for (const record of records) {
        seen.add(record.state.status)
        if (record.state.status !== 'running') {
          await bench.containers.start(record.id, signal)
          expect(bench.containers.inspect(record.id).state.status).toBe('running')
        }
        await bench.containers.remove(record.id, { force: true, volumes: true })
      }
      await bench.networks.settled()
      expect(await remains(bench), `killed at step ${step}`).toEqual([])
      expect(
        await readdir(join(bench.engine.root, 'volumes')).catch(() => []),
        `killed at step ${step}`,
      ).toEqual([])
      await bench.stop()
    }
    expect(seen).toEqual(new Set(['created', 'running', 'exited']))
    bench = await openBench({ top: bench.top })
  })

  it('at any step of a pod’s sandbox leaves a whole one or none', {
    timeout: scaledMs(300_000),
  }, async () => {
    await bench.stop()
    const total = Number(await daemon(0, 'pod'))
    expect(total).toBeGreaterThan(30)
    let whole = 0
    for (let step = 1; step <= total; step++) {
      await daemon(step, 'pod')
      bench = await openBench({ top: bench.top })
      const sandboxes = bench.sandboxes.list()
      for (const { id } of bench.containers.list())
        await bench.containers.remove(id, { force: true, volumes: true })
      for (const { id, opened } of sandboxes) {
        expect(opened, `killed at step ${step}`).toBeDefined()
        whole++
        const inPod = { sandbox: id, cgroupParent: 'pod1', networkMode: 'bridge', pidMode: 'sandbox' }
        const { id: inner } = await bench.containers.create(
          shell('ps > /dev/shm/table; sleep 60', inPod),
          signal,
        )
        await bench.containers.start(inner, signal)
        await bench.containers.remove(inner, { force: true, volumes: true })
        await bench.sandboxes.remove(id)
      }
      await bench.networks.settled()
      expect(await remains(bench), `killed at step ${step}`).toEqual([])
      await bench.stop()
    }
    expect(whole).toBeGreaterThan(10)
    bench = await openBench({ top: bench.top })
  })

  it('finds its running containers again, and the exits of the others', async () => {
    const long = await bench.containers.create(shell('while :; do echo tick; sleep 0.1; done'), signal)
    const short = await bench.containers.create(shell('sleep 0.3; exit 9'), signal)
    for (const { id } of [long, short]) await bench.containers.start(id, signal)
    const { pid } = bench.containers.inspect(long.id).state
    await bench.stop()
    await sleep(600)
    bench = await openBench({ top: bench.top })
    expect(bench.containers.inspect(long.id).state).toMatchObject({ status: 'running', pid })
    expect(bench.containers.inspect(short.id).state).toMatchObject({ status: 'exited', exitCode: 9 })
    await bench.containers.stop(long.id, { timeoutSeconds: 0 }, signal)
    expect(bench.containers.inspect(long.id).state).toMatchObject({ status: 'exited', exitCode: 137 })
    for (const { id } of [long, short]) await bench.containers.remove(id, { force: false, volumes: true })
  })

  it('notices a container whose supervisor was killed', async () => {
    const { id } = await bench.containers.create(shell('sleep 60'), signal)
    await bench.containers.start(id, signal)
    const { pid } = bench.containers.inspect(id).state
    const gone = bench.containers.wait(id, 'not-running', signal)
    const parent = Number(/^PPid:\s*(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1])
    process.kill(parent, 'SIGKILL')
    expect(await gone).toEqual({ exitCode: 137 })
    // Who is killed does not take its socket away.
    await expect.poll(() => readdir(join(bench.engine.run, 's'))).toEqual([])
    await bench.containers.remove(id, { force: true, volumes: true })
    // Nobody but the machine's PID 1 can reap it, in its own time.
    expect(await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State:\tZ')).toContain('State:\tZ')
    expect(await remains(bench)).toEqual([])
  })
})
