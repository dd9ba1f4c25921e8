import { chmod, mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isBerthError } from '../../base/error.ts'
import type { LaunchPlan, Step } from '../plan.ts'
import { readExit, readState } from './exit.ts'
import { allNamespaces, Bench, clone, eventually, launcherUnderTest } from './launcher.testkit.ts'
import { launch } from './launcher.ts'

let bench: Bench
beforeAll(async () => {
  bench = await Bench.open()
})
afterAll(async () => {
  await bench[Symbol.asyncDispose]()
})

const kinds = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'uts'] as const
const namespacesOf = async (pid: number | 'self') =>
  Object.fromEntries(await Promise.all(kinds.map(async (k) => [k, await readlink(`/proc/${pid}/ns/${k}`)])))

/** The error with which a plan fails to be created. */
async function failureOf(plan: LaunchPlan) {
  const result = await bench.create(plan).then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!isBerthError(result, 'KERNEL')) throw new Error(`expected a KERNEL error, got ${result}`)
  return result
}

describe('a process', () => {
  it('gives its output and its exit code', async () => {
    const argv = ['sh', '-c', 'echo out; echo err >&2; exit 3']
    expect(await bench.run({ argv })).toEqual({ out: 'out\n', err: 'err\n', code: 3 })
  })

  it('has all namespaces for itself and sees only itself', async () => {
    const last: Step[] = [
      { do: 'hostname', name: 'box', why: 'its name' },
      { do: 'domainname', name: 'dom', why: 'its domain' },
    ]
    const supervisor = await bench.create(await bench.plan({ argv: ['sleep', '60'], last }))
    const [inside, outside] = [await namespacesOf(supervisor.pid), await namespacesOf('self')]
    for (const kind of kinds) expect(inside[kind], kind).not.toBe(outside[kind])
    const script =
      'hostname; cat /proc/sys/kernel/domainname; echo $$; ls /; ls /sys/class/net 2>/dev/null; cat /proc/net/dev'
    const { out } = await bench.run({ argv: ['sh', '-c', script], last })
    expect(out).toMatch(/^box\ndom\n1\nbin\ndev\netc\nproc\nsys\ntmp\n/)
    expect(out).toMatch(/lo:/)
    expect(out).not.toMatch(/eth0:/)
  })

  it('joins pinned namespaces, user namespaces too', async () => {
    const holder = await bench.create(
      await bench.plan({
        argv: ['sleep', '60'],
        flags: allNamespaces | clone.user,
        parent: [{ do: 'map-ids', uidMap: '0 0 65536\n', gidMap: '0 0 65536\n', why: 'root inside' }],
      }),
    )
    const join = (['user', 'net', 'ipc', 'uts', 'pid'] as const).map((kind) => ({
      path: `/proc/${holder.pid}/ns/${kind}`,
      kind: clone[kind],
      why: `share ${kind}`,
    }))
    const guest = await bench.create(
      await bench.plan({ argv: ['sleep', '60'], join, flags: clone.mount | clone.cgroup }),
    )
    const [a, b] = [await namespacesOf(holder.pid), await namespacesOf(guest.pid)]
    expect({ ...b, mnt: '', cgroup: '' }).toEqual({ ...a, mnt: '', cgroup: '' })
    expect(b.mnt).not.toBe(a.mnt)
    expect(await readlink(`/proc/${guest.pid}/ns/user`)).toBe(await readlink(`/proc/${holder.pid}/ns/user`))
  })

  it('is root of a user namespace and nobody outside', async () => {
    await chmod(bench.folder, 0o755)
    const supervisor = await bench.create(
      await bench.plan({
        argv: ['sleep', '60'],
        flags: allNamespaces | clone.user,
        parent: [
          { do: 'map-ids', uidMap: '0 100000 65536\n', gidMap: '0 100000 65536\n', why: 'root inside' },
        ],
        last: [
          { do: 'oom-score-adj', value: 300, why: 'test' },
          { do: 'credentials', uid: 7, gid: 8, groups: [9], why: 'test' },
        ],
        settings: { terminal: true },
      }),
    )
    await supervisor.start()
    await eventually(async () => {
      const status = await readFile(`/proc/${supervisor.pid}/status`, 'utf8')
      expect(status).toMatch(/^Uid:\t100007.*\nGid:\t100008.*$/m)
      expect(status).toMatch(/^Groups:\t100009 $/m)
    })
    expect(await readFile(`/proc/${supervisor.pid}/oom_score_adj`, 'utf8')).toBe('300\n')
    await supervisor.signal(9)
  })

  it('gets no descriptor but its three', async () => {
    const { out } = await bench.run({ argv: ['sh', '-c', 'ls -1 /proc/$$/fd; true'] })
    expect(out.trim().split('\n')).toEqual(['0', '1', '2'])
  })

  it('blocks and ignores no signal', async () => {
    const { out } = await bench.run({ argv: ['grep', '-E', '^Sig(Blk|Ign)', '/proc/self/status'] })
    expect(out).toBe('SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n')
  })

  it('has a supervisor and an init that hold nothing of their maker and run from sealed memory', async () => {
    const supervisor = await bench.create(await bench.plan({ argv: ['sleep', '60'] }))
    const state = await readState(supervisor.stateFolder)
    const fields = (await readFile(`/proc/${supervisor.pid}/stat`, 'utf8')).split(') ')[1]?.split(' ')
    expect(state).toMatchObject({ pid: supervisor.pid, startTicks: Number(fields?.[22 - 3]) })
    for (const pid of [supervisor.pid, state?.supervisorPid ?? 0]) {
      const exe = `/proc/${pid}/exe`
      expect(await readlink(exe)).toMatch(/^\/memfd:berth-launcher/)
      await expect(writeFile(exe, 'x', { flag: 'r+' })).rejects.toThrow(/EPERM|ETXTBSY/)
      const links = await Promise.all(
        (await readdir(`/proc/${pid}/fd`)).map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')),
      )
      for (const link of links)
        expect(link).toMatch(/^(\/dev\/null|(socket|pipe):.*|anon_inode:\[signalfd\]|)$/)
    }
    await supervisor.start()
    await eventually(async () => expect(await readlink(`/proc/${supervisor.pid}/exe`)).toMatch(/busybox$/))
  })

  it('is killed by a signal and tells which', async () => {
    const supervisor = await bench.create(await bench.plan({ argv: ['sleep', '60'] }))
    await supervisor.start()
    await supervisor.signal(9)
    const exit = await supervisor.exited
    expect(exit).toMatchObject({ code: 137, signal: 9, oomKilled: false })
    expect(await readExit(supervisor.stateFolder)).toEqual(exit)
    await expect(supervisor.signal(9)).rejects.toThrow(/Cannot send signal 9/)
  })

  it('is told a signal that it handles', async () => {
    const supervisor = await bench.create(
      await bench.plan({
        argv: ['sh', '-c', 'trap "exit 7" TERM; echo ready; while :; do sleep 0.05; done'],
      }),
    )
    const session = await supervisor.attach({ stdin: false, stdout: true, stderr: false })
    const ready = new Promise((resolve) => session.stdout.once('data', resolve))
    await supervisor.start()
    await ready
    await supervisor.signal(15)
    expect((await supervisor.exited).code).toBe(7)
  })

  it('that does not exist exits with 127, one that may not be executed with 126', async () => {
    await writeFile(join(bench.rootfs, 'etc/plain'), 'x')
    for (const [name, errno, exitCode] of [
      ['nothing', 'ENOENT', 127],
      ['/etc/plain', 'EACCES', 126],
    ] as const) {
      const supervisor = await bench.create(await bench.plan({ argv: [name] }))
      const error = await supervisor.start().catch((e: unknown) => e)
      expect(error).toMatchObject({ code: 'KERNEL', details: { step: 'exec', errno, exitCode } })
      expect((error as Error).message).toBe(
        `Cannot start process ${supervisor.pid}: execve ${name}: ${errno} (the command)`,
      )
      expect((await supervisor.exited).code).toBe(exitCode)
    }
  })
})

describe('a step that fails', () => {
  it('is named with its call, errno, reason and place, and nothing is left', async () => {
    const plan = await bench.plan({
      argv: ['true'],
      mounts: [
        {
          ...{
            do: 'mount-in',
            rootfs: bench.rootfs,
            source: 'x',
            target: '/mnt',
            type: 'nosuchfs',
            flags: 0,
          },
          ...{ create: 'folder', why: 'a mount was asked for', at: 'mounts[3]' },
        },
      ],
    })
    const error = await failureOf(plan)
    expect(error.message).toBe(
      `Cannot create container "${plan.id}": mount nosuchfs on /mnt: ENODEV (a mount was asked for, mounts[3])`,
    )
    expect(error.details).toMatchObject({
      step: 'mount-in',
      phase: 'child',
      index: 13,
      errno: 'ENODEV',
      at: 'mounts[3]',
    })
    expect(await readdir(plan.supervisor.stateFolder)).toEqual([])
  })

  it('in the host, in the parent, in a join or in the supervisor is told too', async () => {
    const bad: Step = { do: 'write', path: '/proc/nothing', text: '1', why: 'wrong', at: 'x' }
    const phaseOf = async (plan: LaunchPlan) => (await failureOf(plan)).details?.phase
    expect(await phaseOf(await bench.plan({ argv: ['true'], host: [bad] }))).toBe('host')
    expect(await phaseOf(await bench.plan({ argv: ['true'], parent: [bad] }))).toBe('parent')
    const joins = [{ path: '/proc/nothing', kind: clone.net, why: 'pinned' }]
    expect((await failureOf(await bench.plan({ argv: ['true'], join: joins }))).message).toMatch(
      /open \/proc\/nothing: ENOENT \(pinned\)/,
    )
    const long = await bench.plan({ argv: ['true'], settings: { socket: `/tmp/${'x'.repeat(110)}` } })
    expect((await failureOf(long)).details).toMatchObject({ phase: 'supervisor', errno: 'ENAMETOOLONG' })
  })

  it('may have its errno ignored', async () => {
    const host: Step[] = [
      { do: 'write', path: '/proc/nothing', text: '1', ignore: [2], why: 'may be missing' },
    ]
    expect((await bench.run({ argv: ['true'], host })).code).toBe(0)
  })
})

describe('the file system', () => {
  it('starts on 127 layers and can be written', async () => {
    const names: string[] = []
    for (let i = 0; i < 126; i++) {
      const name = `${i}`.padStart(64, 'a')
      names.push(name)
      await mkdir(join(bench.folder, 'layers', name), { recursive: true })
      await writeFile(join(bench.folder, 'layers', name, `layer-${i}`), '')
    }
    for (const name of ['upper', 'work', 'merged']) await mkdir(join(bench.folder, name))
    const merged = join(bench.folder, 'merged')
    const rootfs: Step = {
      ...{
        do: 'overlay',
        folder: join(bench.folder, 'layers'),
        lower: [...names, '../rootfs'],
        target: merged,
      },
      ...{ upper: join(bench.folder, 'upper'), work: join(bench.folder, 'work'), why: 'the image' },
    }
    const plan = await bench.plan({ argv: ['sh', '-c', 'ls / | grep -c layer-; echo x > /made'], rootfs })
    const moved = JSON.parse(
      JSON.stringify(plan).replaceAll(`"${bench.rootfs}"`, `"${merged}"`),
    ) as LaunchPlan
    const supervisor = await bench.create(moved)
    await supervisor.start()
    expect((await supervisor.exited).code).toBe(0)
    expect(await readFile(join(bench.folder, 'upper/made'), 'utf8')).toBe('x\n')
    expect(await readdir(merged)).toEqual([])
  })

  it('keeps links of the image inside it', async () => {
    await mkdir(join(bench.folder, 'outside'), { recursive: true })
    await symlink(join(bench.folder, 'outside'), join(bench.rootfs, 'escape'))
    await symlink('../run/stub/resolv.conf', join(bench.rootfs, 'etc/resolv.conf'))
    await writeFile(join(bench.folder, 'file'), 'bound\n')
    const inside = { rootfs: bench.rootfs, why: 'test' }
    const mounts: Step[] = [
      { do: 'write-in', ...inside, path: '/escape/up/../made', text: 'x', mode: 0o640 },
      {
        ...{ do: 'mount-in', ...inside, source: join(bench.folder, 'file'), target: '/etc/resolv.conf' },
        ...{ type: '', flags: 0x1000 | 1, create: 'file' },
      },
    ]
    const script = `cat /etc/resolv.conf /run/stub/resolv.conf; echo no > /etc/resolv.conf; cat ${bench.folder}/outside/made`
    const { out, err } = await bench.run({ argv: ['sh', '-c', script], mounts })
    expect(out).toBe('bound\nbound\nx')
    expect(err).toMatch(/Read-only file system/)
    expect(await readdir(join(bench.folder, 'outside'))).toEqual([])
  })

  it('has masked and read-only paths', async () => {
    const inside = { rootfs: bench.rootfs, why: 'test' }
    const mounts: Step[] = [
      { do: 'mask', ...inside, path: '/proc/kcore' },
      { do: 'mask', ...inside, path: '/proc/irq' },
      { do: 'mask', ...inside, path: '/proc/missing' },
      { do: 'read-only', ...inside, path: '/proc/sys' },
    ]
    const script = 'cat /proc/kcore; ls /proc/irq; echo 1 > /proc/sys/vm/drop_caches; echo x > /proc/irq/y'
    const { out, err } = await bench.run({ argv: ['sh', '-c', script], mounts })
    expect(out).toBe('')
    expect(err.match(/Read-only file system/g)).toHaveLength(2)
  })
})

describe('rights', () => {
  it('are those of the plan', async () => {
    const last: Step[] = [
      { do: 'umask', mask: 0o27, why: 'test' },
      { do: 'rlimit', resource: 7, soft: 100, hard: 200, why: 'test' },
      { do: 'oom-score-adj', value: 500, why: 'test' },
      { do: 'bounding', mask: 0x401n, why: 'test' },
      { do: 'credentials', uid: 1000, gid: 1001, groups: [1001, 44], why: 'test' },
      { do: 'capabilities', effective: 1n, permitted: 1n, inheritable: 1n, ambient: 1n, why: 'test' },
      { do: 'no-new-privileges', why: 'test' },
      /* Allow all but mkdir(2), which fails with EPERM. */
      { do: 'seccomp', program: mkdirRefused(), flags: 0, why: 'test' },
      { do: 'chdir', path: '/tmp', create: false, why: 'test' },
    ]
    await chmod(join(bench.rootfs, 'tmp'), 0o777)
    const script =
      'id -u; id -g; id -G; umask; ulimit -n; cat /proc/self/oom_score_adj; grep -E "^(Cap|NoNew|Seccomp:)" /proc/self/status; pwd; mkdir a'
    const { out, err } = await bench.run({ argv: ['sh', '-c', script], last })
    const caps = (name: string, bits: string) => `Cap${name}:\t${bits.padStart(16, '0')}\n`
    expect(out).toBe(
      `1000\n1001\n1001 44\n0027\n100\n500\n${caps('Inh', '1')}${caps('Prm', '1')}${caps('Eff', '1')}${caps('Bnd', '401')}${caps('Amb', '1')}NoNewPrivs:\t1\nSeccomp:\t2\n/tmp\n`,
    )
    expect(err).toMatch(/Operation not permitted/)
  })
})

/** Classic BPF: load the call's number; mkdir and mkdirat give EPERM, all else is allowed. */
function mkdirRefused(): Uint8Array {
  const [mkdir, mkdirat] = process.arch === 'x64' ? [83, 258] : [34, 34]
  const rows = [
    [0x20, 0, 0, 0],
    [0x15, 1, 0, mkdir],
    [0x15, 0, 1, mkdirat],
    [0x06, 0, 0, 0x0005_0001],
    [0x06, 0, 0, 0x7fff_0000],
  ] as const
  const program = Buffer.alloc(rows.length * 8)
  for (const [i, [code, jt, jf, k]] of rows.entries()) {
    program.writeUInt16LE(code, i * 8)
    program.writeUInt8(jt, i * 8 + 2)
    program.writeUInt8(jf, i * 8 + 3)
    program.writeUInt32LE(k, i * 8 + 4)
  }
  return program
}

describe('a shared PID namespace', () => {
  it('has an init that reaps, ends when told, and can be joined', async () => {
    const init = await bench.create(
      await bench.plan({ argv: [], settings: { pauseOnly: true }, flags: clone.pid | clone.ipc }),
    )
    await init.start()
    const guest = await bench.create(
      await bench.plan({
        argv: ['sh', '-c', '(sleep 0.1 & ) ; sleep 0.4; ps -o pid,ppid,stat; exec sleep 60'],
        flags: clone.mount | clone.uts,
        join: [{ path: `/proc/${init.pid}/ns/pid`, kind: clone.pid, why: 'shared' }],
        settings: { log: { path: join(bench.folder, 'pause.log'), maxSizeBytes: 0, maxFiles: 1 } },
      }),
    )
    await guest.start()
    const text = await eventually(async () => {
      const lines = await readFile(join(bench.folder, 'pause.log'), 'utf8')
      expect(lines).toMatch(/PID +PPID/)
      return lines
    })
    expect(text).not.toMatch(/ Z/)
    expect(await readdir(`/proc/${init.pid}/fd`)).toEqual(['0', '1', '2'])
    await init.signal(15)
    expect((await init.exited).code).toBe(0)
    expect((await guest.exited).code).toBe(137)
  })
})

describe('bad input', () => {
  it('is refused by the supervisor, whatever part of a plan is cut off', async () => {
    const { encodeLaunch } = await import('../encode.ts')
    const { encodeFrame, frame } = await import('./protocol.ts')
    const { spawn } = await import('node:child_process')
    const whole = encodeLaunch(await bench.plan({ argv: ['true'] }))
    const cuts = [1, 4, 9, 40, 120, 300, 600, whole.length - 1]
    for (const payload of [...cuts.map((n) => whole.subarray(0, n)), Buffer.alloc(200, 0xff)]) {
      const child = spawn(launcherUnderTest(), ['supervisor'], {
        stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      })
      const socket = child.stdio[3] as import('node:net').Socket
      const answer: Buffer[] = []
      socket.on('data', (chunk) => answer.push(chunk as Buffer))
      socket.on('error', () => {})
      socket.write(encodeFrame(frame.launch, payload))
      const code = await new Promise((resolve) => child.once('exit', resolve))
      await eventually(() => expect(Buffer.concat(answer).readUInt8(4)).toBe(frame.error))
      expect(code).toBe(1)
    }
  })

  it('names a launcher that is not there', async () => {
    const plan = await bench.plan({ argv: ['true'] })
    await expect(launch(plan, { launcher: '/nothing' }, AbortSignal.timeout(1000))).rejects.toThrow(
      /"\/nothing" does not start/,
    )
  })
})
