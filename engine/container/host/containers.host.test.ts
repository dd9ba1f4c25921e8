import { mkdir, readFile, readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scaledMs } from '../../../test/support/time.ts'
import { cgroupFolders } from '../../runtime/oci/cgroups.ts'
import type { ContainerEvent } from '../container.ts'
import { type Bench, driver, foreign, openBench, remains, settingsOf, shell } from './containers.testkit.ts'

const signal = new AbortController().signal
let bench: Bench
const { collect, started, remove, run } = driver(() => bench)

beforeAll(async () => {
  bench = await openBench()
})
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]()
})

const read = (path: string) => readFile(path, 'utf8')
const statusOf = async (pid: number, key: string) =>
  new RegExp(`^${key}:\\s*(.*)$`, 'm').exec(await read(`/proc/${pid}/status`))?.[1]
const cgroupFile = (id: string, controller: string, name: string) => {
  const i = bench.engine.cgroups.hierarchies.findIndex((h) => h.controllers.includes(controller))
  return read(join(cgroupFolders(bench.engine.cgroups, id)[i] ?? '', name))
}
const v1 = () => bench.engine.cgroups.version === 1

describe('a container', () => {
  it('ends with its exit code and keeps its output', async () => {
    expect(await run(shell('echo out; echo err >&2; exit 3'))).toEqual({ code: 3, output: 'out\nerr\n' })
  })

  it('has user, environment, working folder and host name', async () => {
    const { output } = await run(
      shell('id; pwd; echo $FROM $A $HOME; hostname; cat /etc/hostname', {
        user: 'web',
        env: ['A=1'],
        workingDir: '/new/folder',
        hostname: 'box',
      }),
    )
    expect(output).toBe(
      'uid=1000(web) gid=1000(web) groups=29(audio),1000(web)\n/new/folder\nimage 1 /home/web\nbox\nbox\n',
    )
  })

  it('has limits in cgroup files', async () => {
    const { id } = await started(
      shell('sleep 60', {
        resources: { memoryBytes: 64 << 20, pidsLimit: 17, nanoCpus: 500_000_000, cpuShares: 512 },
      }),
    )
    expect(await cgroupFile(id, 'pids', 'pids.max')).toBe('17\n')
    if (v1()) {
      expect(await cgroupFile(id, 'memory', 'memory.limit_in_bytes')).toBe(`${64 << 20}\n`)
      expect(await cgroupFile(id, 'memory', 'memory.memsw.limit_in_bytes')).toBe(`${128 << 20}\n`)
      expect(await cgroupFile(id, 'cpu', 'cpu.cfs_quota_us')).toBe('50000\n')
      expect(await cgroupFile(id, 'cpu', 'cpu.shares')).toBe('512\n')
    } else {
      expect(await cgroupFile(id, 'memory', 'memory.max')).toBe(`${64 << 20}\n`)
      expect(await cgroupFile(id, 'cpu', 'cpu.max')).toBe('50000 100000\n')
    }
    const stats = await bench.containers.stats(id)
    expect(stats).toMatchObject({ pids: 1, pidsLimit: 17, memory: { limitBytes: 64 << 20 } })
    expect((await bench.containers.top(id)).rows[0]?.at(-1)).toBe('sleep 60')
    await remove(id)
  })

  it('is killed when its memory is used up, and says so', async () => {
    const { id } = await started(
      shell('exec dd if=/dev/zero of=/dev/shm/x bs=1048576 count=80', {
        resources: { memoryBytes: 16 << 20, memorySwapBytes: 16 << 20 },
        shmSizeBytes: 1 << 30,
      }),
    )
    await bench.containers.wait(id, 'not-running', signal)
    expect(bench.containers.inspect(id).state).toMatchObject({ exitCode: 137, oomKilled: true })
    await remove(id)
  })

  it('has docker’s capabilities, seccomp and no_new_privs', async () => {
    const { id, pid } = await started(shell('sleep 60'))
    expect(await statusOf(pid, 'CapEff')).toBe('00000000a80425fb')
    expect(await statusOf(pid, 'CapBnd')).toBe('00000000a80425fb')
    expect(await statusOf(pid, 'Seccomp')).toBe('2')
    expect(await statusOf(pid, 'NoNewPrivs')).toBe('0')
    await remove(id)
    const strict = await started(
      shell('sleep 60', {
        user: '1000',
        noNewPrivileges: true,
        capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] },
      }),
    )
    expect(await statusOf(strict.pid, 'CapEff')).toBe('0000000000000000')
    expect(await statusOf(strict.pid, 'CapBnd')).toBe('0000000000001000')
    expect(await statusOf(strict.pid, 'NoNewPrivs')).toBe('1')
    await remove(strict.id)
  })

  it('sees masked and read-only paths, and devices of its own', async () => {
    const { output } = await run(
      shell(
        [
          'wc -c < /proc/interrupts',
          'ls /sys/firmware | wc -l',
          'echo 1 > /proc/sys/kernel/panic || echo read-only',
          'ls /dev',
          'head -c 3 /dev/zero | wc -c',
          'ls /sys/fs/cgroup | wc -l',
          foreign,
          'mount -t tmpfs x /tmp || echo no mount',
        ].join('\n'),
      ),
    )
    expect(output).toContain('read-only')
    expect(output).toMatch(/^0\n0\n/)
    for (const name of [
      'fd',
      'full',
      'mqueue',
      'null',
      'ptmx',
      'pts',
      'random',
      'shm',
      'stdin',
      'tty',
      'zero',
    ]) {
      expect(output).toContain(`\n${name}\n`)
    }
    expect(output).toContain('refused')
    expect(output).toContain('no mount')
  })

  it('may do everything when it is privileged', async () => {
    const { output } = await run(
      shell(`${foreign}; mount -t tmpfs x /tmp && echo mounted`, {
        privileged: true,
      }),
    )
    expect(output).toBe('opened\nmounted\n')
  })

  it('shares namespaces of another container or of the host', async () => {
    const first = await started(shell('sleep 61', { name: 'base', networkMode: 'none' }))
    const mode = 'container:base'
    const second = await started(
      shell('sleep 62', { pidMode: mode, ipcMode: mode, networkMode: mode, utsMode: 'host' }),
    )
    const kinds = async (pid: number | 'self') =>
      Object.fromEntries(
        await Promise.all(
          ['pid', 'ipc', 'net', 'uts', 'mnt', 'cgroup'].map(async (kind) => [
            kind,
            await readlink(`/proc/${pid}/ns/${kind}`),
          ]),
        ),
      )
    const [a, b, host] = await Promise.all([kinds(first.pid), kinds(second.pid), kinds('self')])
    expect([b.pid, b.ipc, b.net, b.uts]).toEqual([a.pid, a.ipc, a.net, host.uts])
    expect(new Set([a.mnt, b.mnt, host.mnt, a.cgroup, b.cgroup, host.cgroup]).size).toBe(6)
    await bench.containers.stop(second.id, { timeoutSeconds: 0 }, signal)
    expect(bench.containers.inspect(first.id).state.status).toBe('running')
    await remove(first.id)
    await remove(second.id)
    const { output } = await run(shell('ps | grep -c vitest', { pidMode: 'host', ipcMode: 'host' }))
    expect(Number(output)).toBeGreaterThan(0)
  })

  it('mounts folders and files of the host', async () => {
    const source = join(bench.top, 'host')
    await mkdir(source)
    await writeFile(join(source, 'file'), 'from the host\n')
    const bind = { kind: 'bind', readOnly: true } as const
    const { output } = await run(
      shell('cat /a/file /etc/one; touch /a/x 2>/dev/null || echo ro; ls -d /new', {
        mounts: [
          { ...bind, source, target: '/a' },
          { ...bind, source: join(source, 'file'), target: '/etc/one' },
          { ...bind, source: join(source, 'made'), target: '/new', createSource: true },
        ],
      }),
    )
    expect(output).toBe('from the host\nfrom the host\nro\n/new\n')
    const missing = shell('true', { mounts: [{ ...bind, source: '/nowhere', target: '/a' }] })
    const { id } = await bench.containers.create(missing, signal)
    await expect(bench.containers.start(id, signal)).rejects.toThrow(
      /bind source path does not exist: \/nowhere/,
    )
    await remove(id)
  })

  it('has a read-only root with writable tmpfs and volume', async () => {
    const { output } = await run(
      shell('touch /x 2>/dev/null || echo ro; touch /t/x && echo tmpfs; touch /v/x && echo volume', {
        readOnlyRootfs: true,
        mounts: [
          { kind: 'tmpfs', target: '/t', readOnly: false, sizeBytes: 1 << 20 },
          { kind: 'volume', source: 'named', target: '/v', readOnly: false },
        ],
      }),
    )
    expect(output).toBe('ro\ntmpfs\nvolume\n')
  })

  it('fills an empty volume with the image’s files', async () => {
    const mounts = [{ kind: 'volume', source: 'filled', target: '/data', readOnly: false }] as const
    expect((await run(shell('cat /data/inner/file; echo mine > /data/inner/file', { mounts }))).output).toBe(
      'from the image\n',
    )
    expect((await run(shell('cat /data/inner/file', { mounts }))).output).toBe('mine\n')
    expect(await read(join(bench.engine.root, 'volumes/filled/_data/inner/file'))).toBe('mine\n')
  })

  it('keeps its writable layer over a restart', async () => {
    const { id } = await started(shell('cat /mark 2>/dev/null; echo again > /mark'))
    await bench.containers.wait(id, 'not-running', signal)
    await bench.containers.start(id, signal)
    await bench.containers.wait(id, 'not-running', signal)
    expect(await collect(id)).toBe('again\n')
    await remove(id)
  })

  it('stops at its signal, or is killed after the grace time', async () => {
    const kind = await started(shell('trap "exit 5" TERM; while :; do sleep 0.05; done'))
    await sleep(100)
    await bench.containers.stop(kind.id, { timeoutSeconds: 10 }, signal)
    expect(bench.containers.inspect(kind.id).state).toMatchObject({ status: 'exited', exitCode: 5, pid: 0 })
    const deaf = await started(shell('trap "" TERM; while :; do sleep 0.05; done'))
    const from = Date.now()
    await bench.containers.stop(deaf.id, { timeoutSeconds: 1 }, signal)
    expect(Date.now() - from).toBeGreaterThan(900)
    expect(bench.containers.inspect(deaf.id).state.exitCode).toBe(137)
    for (const { id } of [kind, deaf]) await remove(id)
  })

  it('follows its log to the end, and gives the tail', async () => {
    const { id } = await started(shell('for i in 1 2 3 4; do echo $i; sleep 0.1; done'))
    expect(await collect(id, { follow: true })).toBe('1\n2\n3\n4\n')
    expect(await collect(id, { tail: 2 })).toBe('3\n4\n')
    expect(await collect(id, { tail: 0, follow: true })).toBe('')
    expect(await collect(id, { since: Date.now() + 1000 })).toBe('')
    await remove(id)
  })

  it('misses nothing of an attach before the start', async () => {
    const { id } = await bench.containers.create(
      shell('cat; echo done', { stdin: true, stdinOnce: true }),
      signal,
    )
    const attached = bench.containers.attach(id, { stdin: true, stdout: true, stderr: true }, signal)
    await bench.containers.start(id, signal)
    const session = await attached
    session.stdin.end('hello\n')
    const output = await session.stdout.toArray()
    expect(Buffer.concat(output).toString()).toBe('hello\ndone\n')
    await remove(id)
  })

  it('runs further processes, with a terminal too', async () => {
    const { id } = await started(shell('sleep 60', { env: ['A=b'] }))
    const plain = await bench.containers.exec(
      id,
      { argv: ['sh', '-c', 'echo $A; id -u; cat; exit 7'], terminal: false, stdin: true, user: 'web' },
      signal,
    )
    plain.stdin.end('typed\n')
    expect(Buffer.concat(await plain.stdout.toArray()).toString()).toBe('b\n1000\ntyped\n')
    expect(await plain.exited).toEqual({ code: 7 })
    const tty = await bench.containers.exec(id, { argv: ['tty'], terminal: true, stdin: true }, signal)
    expect(Buffer.concat(await tty.stdout.toArray()).toString()).toBe('/dev/pts/0\r\n')
    const missing = bench.containers.exec(id, { argv: ['nothing'], terminal: false, stdin: false }, signal)
    await expect(missing).rejects.toMatchObject({ details: { exitCode: 127 } })
    await remove(id)
  })

  it('says why it cannot start, and can be removed', async () => {
    const { id } = await bench.containers.create(settingsOf({ cmd: ['/nothing'] }), signal)
    const attached = bench.containers.attach(id, { stdin: false, stdout: true, stderr: true }, signal)
    await expect(bench.containers.start(id, signal)).rejects.toMatchObject({ code: 'KERNEL' })
    expect(await (await attached).stdout.toArray()).toEqual([])
    expect(bench.containers.inspect(id).state).toMatchObject({ status: 'created', exitCode: 127 })
    await remove(id)
    expect(await remains(bench)).toEqual([])
  })

  it('restarts by its policy, with back-off, until it is stopped', async () => {
    const events: ContainerEvent[] = []
    const over = new AbortController()
    bench.containers.events((event) => events.push(event), over.signal)
    const { id } = await started(shell('exit 1', { restart: { name: 'on-failure', maximumRetryCount: 2 } }))
    await expect
      .poll(() => bench.containers.inspect(id).state, { timeout: scaledMs(10_000) })
      .toMatchObject({ status: 'exited', restartCount: 2 })
    expect(events.filter((e) => e.action === 'die')).toHaveLength(3)
    const always = await started(shell('sleep 60', { restart: { name: 'always', maximumRetryCount: 0 } }))
    process.kill(always.pid, 'SIGKILL')
    await expect
      .poll(() => bench.containers.inspect(always.id).state.pid, { timeout: scaledMs(5000) })
      .not.toBe(always.pid)
    await expect
      .poll(() => bench.containers.inspect(always.id).state.status, { timeout: scaledMs(5000) })
      .toBe('running')
    await bench.containers.stop(always.id, { timeoutSeconds: 0 }, signal)
    expect(bench.containers.inspect(always.id).state.status).toBe('exited')
    over.abort()
    for (const ref of [id, always.id]) await remove(ref)
  })

  it('removes itself when asked', async () => {
    const { id } = await bench.containers.create(shell('exit 4', { autoRemove: true }), signal)
    const gone = bench.containers.wait(id, 'removed', signal)
    await bench.containers.start(id, signal)
    expect(await gone).toEqual({ exitCode: 4 })
    expect(() => bench.containers.inspect(id)).toThrow(/No such container/)
  })
})
