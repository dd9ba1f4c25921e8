import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scaledMs } from '../../../test/support/time.ts'
import { encodeLaunch } from '../encode.ts'
import type { SupervisorSettings } from '../plan.ts'
import { readExit, readState } from './exit.ts'
import {
  alive,
  allNamespaces,
  Bench,
  clone,
  eventually,
  execPlanOf,
  launcherUnderTest,
  textOf,
} from './launcher.testkit.ts'
import { encodeFrame, frame } from './protocol.ts'
import { Supervisor } from './supervisor.ts'

let bench: Bench
beforeAll(async () => {
  bench = await Bench.open()
})
afterAll(async () => {
  await bench[Symbol.asyncDispose]()
})

const soon = () => AbortSignal.timeout(scaledMs(10_000))
const started = async (argv: readonly string[], settings: Partial<SupervisorSettings> = {}) => {
  const supervisor = await bench.create(await bench.plan({ argv, settings }))
  await supervisor.start()
  return supervisor
}

describe('the log', () => {
  const logged = async (argv: readonly string[], maxSizeBytes = 0, maxFiles = 1) => {
    const path = join(bench.folder, `${Math.random()}.log`)
    const supervisor = await started(argv, { log: { path, maxSizeBytes, maxFiles } })
    await supervisor.exited
    return path
  }

  it('has the format of the CRI', async () => {
    const before = new Date().toISOString()
    const path = await logged(['sh', '-c', 'echo one; echo; echo two >&2; sleep 0.05; printf rest'])
    const lines = (await readFile(path, 'utf8')).split('\n')
    expect(lines.filter((line) => line.includes(' stdout ')).map((line) => line.slice(31))).toEqual([
      'stdout F one',
      'stdout F ',
      'stdout P rest',
    ])
    expect(lines.filter((line) => line.includes(' stderr ')).map((line) => line.slice(31))).toEqual([
      'stderr F two',
    ])
    const time = lines[0]?.slice(0, 30) ?? ''
    expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/)
    expect(Date.parse(time)).toBeGreaterThanOrEqual(Date.parse(before))
    expect(Date.parse(time)).toBeLessThanOrEqual(Date.now())
  })

  it('cuts a long line into parts that join to the whole', async () => {
    const path = await logged(['sh', '-c', 'head -c 40000 /dev/zero | sed "s/./x/g"; echo end'])
    const parts = (await readFile(path, 'utf8')).split('\n').slice(0, -1)
    expect(parts.map((line) => line.slice(38, 39))).toEqual(['P', 'P', 'F'])
    expect(parts.map((line) => line.length - 40)).toEqual([16384, 16384, 40000 + 3 - 32768])
  })

  it('is rotated and keeps the given number of files', async () => {
    const path = await logged(['sh', '-c', 'seq 1000 1999'], 10_000, 3)
    const files = [path, `${path}.1`, `${path}.2`]
    const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')))
    expect(existsSync(`${path}.3`)).toBe(false)
    const numbers = texts
      .toReversed()
      .flatMap((text) => text.match(/(?<=F )\d+/g) ?? [])
      .map(Number)
    expect(numbers).toEqual(numbers.map((_, i) => 2000 - numbers.length + i))
    for (const text of texts) expect(text.length).toBeLessThanOrEqual(10_000)
  })
})

describe('attach', () => {
  it('gives input to the container and output to every client', async () => {
    const supervisor = await bench.create(
      await bench.plan({ argv: ['cat'], settings: { stdin: true, stdinOnce: true } }),
    )
    const [first, second] = await Promise.all(
      [true, false].map((stdin) => supervisor.attach({ stdin, stdout: true, stderr: true })),
    )
    if (!first || !second) throw new Error('not attached')
    await supervisor.start()
    const all = Promise.all([textOf(first, 'stdout'), textOf(second, 'stdout')])
    const big = 'line of input\n'.repeat(20_000)
    first.stdin.end(big)
    const [a, b] = await all
    expect(a === big).toBe(true)
    expect(b === big).toBe(true)
    expect((await supervisor.exited).code).toBe(0)
  })

  it('leaves stdin open when it is not for one client only', async () => {
    const supervisor = await started(['cat'], { stdin: true })
    const first = await supervisor.attach({ stdin: true, stdout: true, stderr: false })
    first.stdin.write('a\n')
    await once(first.stdout, 'data')
    first.close()
    const second = await supervisor.attach({ stdin: true, stdout: true, stderr: false })
    second.stdin.write('b\n')
    expect(String((await once(second.stdout, 'data'))[0])).toBe('b\n')
    await supervisor.signal(9)
  })

  it('with a client that reads nothing delays neither the log nor others, and loses nothing', async () => {
    const path = join(bench.folder, 'slow.log')
    const plan = await bench.plan({
      argv: ['sh', '-c', 'seq 1 300000'],
      settings: { log: { path, maxSizeBytes: 0, maxFiles: 1 } },
    })
    const supervisor = await bench.create(plan)
    const slow = await supervisor.attach({ stdin: false, stdout: true, stderr: false })
    const quick = await supervisor.attach({ stdin: false, stdout: true, stderr: false })
    const whole = textOf(quick, 'stdout')
    await supervisor.start()
    expect((await supervisor.exited).code).toBe(0)
    expect((await whole).length).toBe(1_988_895)
    expect((await readFile(path, 'utf8')).match(/\n/g)).toHaveLength(300_000)
    const text = await textOf(slow, 'stdout')
    expect(text.length).toBe(1_988_895)
    expect(text.endsWith('299999\n300000\n')).toBe(true)
  })
})

describe('a terminal', () => {
  it('is the container’s, has a size and ends', async () => {
    const supervisor = await bench.create(
      await bench.plan({
        argv: ['sh', '-c', 'tty; ls -l /dev/console | cut -c1; stty size; read x; stty size; echo "got $x"'],
        settings: { terminal: true, stdin: true },
      }),
    )
    const session = await supervisor.attach({ stdin: true, stdout: true, stderr: true })
    await session.resize(10, 20)
    const text = textOf(session, 'stdout')
    await supervisor.start()
    await sleep(100)
    await session.resize(30, 40)
    session.stdin.write('hello\n')
    expect((await supervisor.exited).code).toBe(0)
    expect((await text).replaceAll('\r', '')).toBe('/dev/pts/0\nc\n10 20\nhello\n30 40\ngot hello\n')
  })

  it('passes Ctrl-C on', async () => {
    const supervisor = await started(
      ['sh', '-c', 'trap "exit 9" INT; echo up; while :; do sleep 0.05; done'],
      {
        terminal: true,
        stdin: true,
      },
    )
    const session = await supervisor.attach({ stdin: true, stdout: true, stderr: true })
    session.stdout.resume()
    await sleep(150)
    session.stdin.write('\x03')
    expect((await supervisor.exited).code).toBe(9)
  })
})

describe('a supervisor', () => {
  it('outlives who started it, and is found again', async () => {
    const plan = await bench.plan({ argv: ['sh', '-c', 'trap "exit 4" TERM; while :; do sleep 0.05; done'] })
    const bytes = join(bench.folder, 'plan')
    await writeFile(bytes, encodeFrame(frame.launch, encodeLaunch(plan)))
    const script = `
      const { spawn } = require('node:child_process')
      const child = spawn(process.argv[1], ['supervisor'], { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'pipe'] })
      child.stdio[3].write(require('node:fs').readFileSync(process.argv[2]))
      child.stdio[3].once('data', () => process.stdout.write('created'))
      setInterval(() => {}, 1000)`
    const parent = spawn(process.execPath, ['-e', script, launcherUnderTest(), bytes], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(parent.stdout, 'data')
    parent.kill('SIGKILL')
    await once(parent, 'exit')
    await using first = await Supervisor.connect(plan.supervisor.socket, soon())
    expect(first.running).toBe(false)
    await first.start()
    await using again = await Supervisor.connect(plan.supervisor.socket, soon())
    expect(again).toMatchObject({ pid: first.pid, running: true, stateFolder: plan.supervisor.stateFolder })
    await again.signal(15)
    await eventually(async () => {
      if (!(await readExit(plan.supervisor.stateFolder))) await again.signal(15)
      expect((await readExit(plan.supervisor.stateFolder))?.code).toBe(4)
    })
    expect((await first.exited).code).toBe(4)
    await expect(Supervisor.connect(plan.supervisor.socket, soon())).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    })
  })

  it('does not give way to a second one of the same container', async () => {
    const plan = await bench.plan({ argv: ['sleep', '60'] })
    const supervisor = await bench.create(plan)
    await supervisor.start()
    await expect(bench.create(plan)).rejects.toMatchObject({ code: 'KERNEL', details: { errno: 'EBUSY' } })
    await using again = await Supervisor.connect(plan.supervisor.socket, soon())
    expect(again.pid).toBe(supervisor.pid)
    await supervisor.signal(9)
    await supervisor.exited
    const next = await bench.create(plan)
    expect(await readExit(plan.supervisor.stateFolder)).toBeUndefined()
    await next.signal(9)
  })

  it('that is killed is told as lost, not as an exit', async () => {
    const supervisor = await started(['sleep', '60'])
    const state = await readState(supervisor.stateFolder)
    process.kill(state?.supervisorPid ?? 0, 'SIGKILL')
    await expect(supervisor.exited).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    process.kill(supervisor.pid, 'SIGKILL')
  })

  it('that is killed before the start leaves nothing', async () => {
    const supervisor = await bench.create(await bench.plan({ argv: ['sleep', '60'] }))
    process.kill((await readState(supervisor.stateFolder))?.supervisorPid ?? 0, 'SIGKILL')
    await eventually(async () => expect(await alive(supervisor.pid)).toBe(false))
  })

  it('refuses what it does not know and goes on', async () => {
    const supervisor = await started(['sleep', '60'])
    const path = join(supervisor.stateFolder, 's')
    const garbage = [
      Buffer.alloc(64, 0xff),
      Buffer.alloc(5),
      encodeFrame(99, Buffer.alloc(4)),
      encodeFrame(frame.exec, Buffer.alloc(40, 1)),
    ]
    for (const bytes of garbage) {
      const socket = createConnection(path)
      socket.on('error', () => {})
      socket.write(bytes)
      await once(socket, 'data')
      socket.end()
      await sleep(10)
    }
    const session = await supervisor.exec(execPlanOf(supervisor.pid, { argv: ['echo', 'on'] }))
    expect(await textOf(session, 'stdout')).toBe('on\n')
    await supervisor.signal(9)
  })

  it.skipIf(process.env.BERTH_SANITIZED)(
    'takes at most 1 MiB of memory (not measured with sanitizers)',
    async () => {
      const supervisor = await started(['sleep', '60'], {
        log: { path: join(bench.folder, 'm.log'), maxSizeBytes: 0, maxFiles: 1 },
      })
      const state = await readState(supervisor.stateFolder)
      const pss = (await readFile(`/proc/${state?.supervisorPid}/smaps_rollup`, 'utf8')).match(
        /^Pss: +(\d+)/m,
      )?.[1]
      expect(Number(pss)).toBeLessThanOrEqual(1024)
      await supervisor.signal(9)
    },
  )

  const v1 = ['pids', 'freezer'].map((name) => `/sys/fs/cgroup/${name}`)
  const v2 = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].filter((path) =>
    existsSync(`${path}/cgroup.subtree_control`),
  )
  // A hybrid machine has both, most have version 2 only.
  const versions = [
    ['version 1', v1.filter((path) => existsSync(path))],
    ['version 2', v2.slice(0, 1)],
  ] as const
  it.each(versions.filter(([, tops]) => tops.length > 0))(
    'reaps orphans of a container without a PID namespace, and ends all by cgroup of %s',
    async (_, tops) => {
      const cgroup = tops.map((top) => `${top}/berth-test-${process.pid}`)
      const supervisor = await bench.create(
        await bench.plan({
          argv: ['sh', '-c', '(sleep 300 &); (sleep 300 &); echo up; exec sleep 0.2'],
          flags: allNamespaces & ~clone.pid,
          settings: { cgroups: cgroup },
          host: cgroup.map((path) => ({ do: 'mkdir', path, mode: 0o755, why: 'test' })),
          parent: cgroup.map((path) => ({ do: 'cgroup-attach', path, why: 'test' })),
        }),
      )
      const session = await supervisor.attach({ stdin: false, stdout: true, stderr: false })
      await supervisor.start()
      await once(session.stdout, 'data')
      const pids = (await readFile(`${cgroup[0]}/cgroup.procs`, 'utf8')).trim().split('\n').map(Number)
      expect(pids).toHaveLength(3)
      expect(await readFile(`/proc/${supervisor.pid}/cgroup`, 'utf8')).toMatch(/berth-test/)
      expect((await supervisor.exited).code).toBe(0)
      for (const pid of pids) expect(await alive(pid)).toBe(false)
      for (const path of cgroup) expect(existsSync(path)).toBe(false)
    },
  )

  it('tells that memory ran out', async () => {
    const v1 = existsSync('/sys/fs/cgroup/memory')
    const path = `/sys/fs/cgroup/${v1 ? 'memory/' : ''}berth-test-${process.pid}`
    const limit = join(path, v1 ? 'memory.limit_in_bytes' : 'memory.max')
    const controllers = '/sys/fs/cgroup/cgroup.subtree_control'
    const supervisor = await bench.create(
      await bench.plan({
        argv: ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=64M', 'count=1'],
        settings: { cgroups: [path] },
        host: [
          ...(v1 ? [] : [{ do: 'write', path: controllers, text: '+memory', why: 'test' } as const]),
          { do: 'mkdir', path, mode: 0o755, why: 'test' },
          { do: 'write', path: limit, text: String(16 << 20), why: 'test' },
        ],
        parent: [{ do: 'cgroup-attach', path, why: 'test' }],
      }),
    )
    await supervisor.start()
    const exit = await supervisor.exited
    expect(exit.oomKilled).toBe(true)
    expect(exit.code).not.toBe(0)
    expect(existsSync(path)).toBe(false)
  })

  it('gives up what the container made below its cgroup', async () => {
    const top = existsSync('/sys/fs/cgroup/pids') ? '/sys/fs/cgroup/pids' : '/sys/fs/cgroup'
    const path = `${top}/berth-nest-${process.pid}`
    const supervisor = await bench.create(
      await bench.plan({
        argv: ['sleep', '60'],
        settings: { cgroups: [path] },
        host: [{ do: 'mkdir', path, mode: 0o755, why: 'test' }],
        parent: [{ do: 'cgroup-attach', path, why: 'test' }],
      }),
    )
    await supervisor.start()
    await mkdir(join(path, 'a/b'), { recursive: true })
    await supervisor.signal(9, { all: true })
    expect((await supervisor.exited).code).toBe(137)
    expect(existsSync(path)).toBe(false)
    await rmdir(path).catch(() => {})
  })
})
