import { readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { kill } from 'node:process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { remains } from '../../container/host/containers.testkit.ts'
import { PodBench, sh } from './pods.testkit.ts'

let pods: PodBench
beforeAll(async () => {
  pods = await PodBench.open()
})
afterAll(async () => {
  await pods?.[Symbol.asyncDispose]()
})

const statuses = () => pods.pod()?.status?.containerStatuses ?? []
const running = (restarts: number) =>
  statuses().length === 2 && statuses().every((s) => s.state?.running && s.restartCount === restarts)
const pidsOf = () =>
  pods.bench.containers
    .list()
    .filter((record) => record.state.status === 'running')
    .map((record) => record.state.pid)
    .sort()

/** The first process of the pod's PID namespace, as the host counts. */
async function firstProcess(): Promise<number> {
  const space = await readlink(`/proc/${pidsOf()[0]}/ns/pid`)
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    const same = (await readlink(`/proc/${pid}/ns/pid`).catch(() => '')) === space
    const status = same ? await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '') : ''
    if (/^NSpid:.*\t1$/m.test(status)) return Number(pid)
  }
  throw new Error('no first process')
}

describe('containers of a pod', () => {
  it('share memory, message queues and the host name', async () => {
    pods.makePod({
      containers: [
        sh('one', 'echo from one > /dev/shm/note; sleep 1000'),
        sh('two', 'sleep 1000', { securityContext: { runAsUser: 1000 } }),
      ],
    })
    await pods.until(() => running(0), 'both run')
    await expect.poll(() => pods.exec('two', 'cat /dev/shm/note')).toBe('from one\n')
    expect(await pods.exec('two', 'echo back > /dev/shm/mine; mount | grep /dev/shm')).toMatch(
      /tmpfs.*nosuid,nodev,noexec.*size=65536k/,
    )
    expect(await pods.exec('one', 'cat /dev/shm/mine')).toBe('back\n')
    const spaces = await Promise.all(pidsOf().map((pid) => readlink(`/proc/${pid}/ns/ipc`)))
    expect(new Set(spaces).size).toBe(1)
    await pods.removed()
  })

  it('see each other’s processes when they are told to, below one that reaps', {
    timeout: 60_000,
  }, async () => {
    pods.makePod({
      shareProcessNamespace: true,
      containers: [sh('one', 'sleep 1001'), sh('two', '(sleep 0.2 &); sleep 1002')],
    })
    await pods.until(() => running(0), 'both run')
    await new Promise((resolve) => setTimeout(resolve, 400))
    const table = await pods.exec('one', 'ps -o pid,user,stat,args')
    expect(table).toMatch(/^ *1 65535 .*berth-init/m)
    expect(table).toContain('sleep 1001')
    expect(table).toContain('sleep 1002')
    expect(table).not.toMatch(/ Z/)
    expect(await pods.exec('one', 'ls -a /proc/1/root 2>&1; ls /proc/1/fd 2>&1')).not.toMatch(/etc|home/)
    await pods.exec('two', 'ps -o pid,args | grep "[s]leep 1001" | while read pid rest; do kill $pid; done')
    await pods.until(() => statuses().some((s) => s.name === 'one' && s.restartCount === 1), 'one restarts')
    const before = pidsOf()
    await pods.stop()
    await pods.start()
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(pidsOf()).toEqual(before)
    await pods.removed()
  })

  it('begin again when the first process is killed', { timeout: 60_000 }, async () => {
    pods.makePod({
      shareProcessNamespace: true,
      initContainers: [
        sh('init', 'echo made >> /work/file', { volumeMounts: [{ name: 'w', mountPath: '/work' }] }),
      ],
      containers: [
        sh('one', 'sleep 1001', { volumeMounts: [{ name: 'w', mountPath: '/work' }] }),
        sh('two', 'sleep 1002'),
      ],
      volumes: [{ name: 'w', emptyDir: {} }],
    })
    await pods.until(() => running(0), 'both run')
    const before = pidsOf()
    const first = await firstProcess()
    expect(before).not.toContain(first)
    kill(first, 'SIGKILL')
    await pods.until(() => running(1), 'both run again')
    expect(pidsOf().some((pid) => before.includes(pid))).toBe(false)
    expect(await firstProcess()).not.toBe(first)
    expect(await pods.exec('one', 'cat /work/file')).toBe('made\nmade\n')
    expect(pods.events.join('\n')).toContain(
      'web SandboxChanged Pod sandbox changed, it will be killed and re-created.',
    )
    // The same while nobody looks.
    await pods.stop()
    kill(await firstProcess(), 'SIGKILL')
    await new Promise((resolve) => setTimeout(resolve, 300))
    await pods.start()
    await pods.until(() => running(2), 'both run once more')
    await pods.removed()
  })

  it('leave nothing', async () => {
    await pods.until(() => pods.bench.sandboxes.list().length === 0, 'all sandboxes go')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect((await remains(pods.bench)).filter((line) => !line.endsWith('/volumes'))).toEqual([])
    expect(await readdir(join(pods.bench.engine.root, 'sandboxes'))).toEqual([])
  })
})
