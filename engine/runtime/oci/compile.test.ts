import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Step } from '../plan.ts'
import { type CompileContext, compile, compileExec } from './compile.ts'
import { defaultCapabilities, defaultMaskedPaths, defaultMounts, defaultReadonlyPaths } from './defaults.ts'
import { explainPlan } from './explain.ts'
import { CLONE, capabilityMask, MS, signalNumber } from './linux.ts'
import { parseMountOptions } from './mounts.ts'
import { defaultProfile, resolveProfile } from './seccomp-profile.ts'
import type { OciSpec } from './types.ts'

const capabilities = {
  bounding: defaultCapabilities,
  effective: defaultCapabilities,
  permitted: defaultCapabilities,
}
const spec: OciSpec = {
  ociVersion: '1.2.0',
  process: {
    args: ['sh'],
    env: ['A=1'],
    cwd: '/',
    user: { uid: 7, gid: 8, additionalGids: [9] },
    capabilities,
    rlimits: [{ type: 'RLIMIT_NOFILE', soft: 10, hard: 20 }],
  },
  root: { path: 'rootfs', readonly: true },
  hostname: 'box',
  mounts: [
    ...defaultMounts({ shmSizeBytes: 1 << 20, privileged: false }),
    { destination: '/etc/hosts', source: '/var/hosts', options: ['rbind', 'ro', 'rprivate'] },
  ],
  linux: {
    namespaces: [
      { type: 'mount' },
      { type: 'pid' },
      { type: 'cgroup' },
      { type: 'network', path: '/run/ns/net' },
      { type: 'ipc', path: '/run/ns/ipc' },
      { type: 'uts', path: '/run/ns/uts' },
    ],
    maskedPaths: defaultMaskedPaths,
    readonlyPaths: defaultReadonlyPaths,
    seccomp: resolveProfile(defaultProfile, { arch: 'x64', capabilities: [], kernel: [6, 1] }),
  },
}
const context: CompileContext = {
  id: 'ID',
  rootfs: {
    kind: 'overlay',
    folder: '/layers',
    lower: ['2', '1'],
    upper: '/c/upper',
    work: '/c/work',
    target: '/c/rootfs',
  },
  supervisor: {
    socket: '/run/s/ID',
    stateFolder: '/c/state',
    terminal: false,
    stdin: false,
    stdinOnce: false,
    pauseOnly: false,
  },
  cgroups: {
    version: 2,
    parent: '/berth.slice',
    cpus: '0',
    mems: '0',
    hierarchies: [{ name: '', controllers: ['pids'], mount: '/sys/fs/cgroup' }],
  },
  kernel: { arch: 'x64', release: [6, 1], capabilities: (1n << 41n) - 1n, oomScoreAdj: 0 },
  files: new Set(['/var/hosts']),
}
const names = (steps: readonly Step[]) => steps.map((s) => s.do)

describe('compile', () => {
  const plan = compile(spec, context)

  it('orders the steps as the kernel needs them', () => {
    const order = [...new Set(names(plan.child))]
    expect(order).toEqual([
      'propagation',
      'overlay',
      'mount-in',
      'mknod-in',
      'symlink-in',
      'setsid',
      'mask',
      'read-only',
      'rlimit',
      'pivot-root',
      'remount-root',
      'barrier',
      'umask',
      'chdir',
      'bounding',
      'seccomp',
      'credentials',
      'capabilities',
      'exec',
    ])
  })

  it('binds a part of a source without leaving the source', () => {
    const mount = {
      destination: '/mnt',
      source: '/volumes/v',
      options: ['rbind', 'ro', 'rprivate'],
      part: { path: 'a/b', create: true },
    }
    const { child } = compile({ ...spec, mounts: [mount] }, context)
    const step = child.find((one) => one.do === 'bind-in')
    expect(step).toMatchObject({
      sourceRoot: '/volumes/v',
      source: 'a/b',
      target: '/mnt',
      createSource: true,
    })
    expect(explainPlan({ ...plan, child }).join('\n')).toContain(
      'openat2("/volumes/v", "a/b", RESOLVE_IN_ROOT); mount("that", "/mnt", NULL, MS_RDONLY|MS_BIND|MS_REC)',
    )
  })

  it('makes own namespaces and joins the others', () => {
    expect(plan.cloneFlags).toBe(CLONE.NEWNS | CLONE.NEWPID | CLONE.NEWCGROUP)
    expect(plan.join.map((j) => j.path)).toEqual(['/run/ns/ipc', '/run/ns/uts', '/run/ns/net'])
    expect(names(plan.child)).not.toContain('hostname')
  })

  it('loads the filter last under no_new_privs', () => {
    const strict = compile(
      { ...spec, process: { ...spec.process, noNewPrivileges: true, args: ['a'], cwd: '/' } },
      context,
    )
    expect(names(strict.child).slice(-5)).toEqual([
      'credentials',
      'capabilities',
      'no-new-privileges',
      'seccomp',
      'exec',
    ])
  })

  it('binds files on files', () => {
    expect(plan.child.find((s) => s.do === 'mount-in' && s.target === '/etc/hosts')).toMatchObject({
      create: 'file',
      flags: MS.BIND | MS.REC | MS.RDONLY,
      propagation: MS.PRIVATE | MS.REC,
      at: 'mounts[7]',
    })
  })

  it('gives no capability that berth does not have', () => {
    const poor = compile(spec, {
      ...context,
      kernel: { ...context.kernel, capabilities: capabilityMask(['CAP_KILL']) },
    })
    expect(poor.child.find((s) => s.do === 'capabilities')).toMatchObject({
      effective: capabilityMask(['CAP_KILL']),
    })
  })

  it('makes names, loopback and terminal of its own', () => {
    const alone = compile(
      {
        ...spec,
        process: { args: ['sh'], cwd: '/', terminal: true },
        linux: {
          namespaces: [{ type: 'mount' }, { type: 'uts' }, { type: 'network' }],
          sysctl: { 'net.a': '1' },
        },
      },
      context,
    )
    expect(names(alone.child)).toEqual(
      expect.arrayContaining(['console', 'loopback-up', 'hostname', 'sysctl']),
    )
  })

  it('refuses what cannot run', () => {
    expect(() => compile({ ociVersion: '1.2.0' }, context)).toThrow(/without "process"/)
    expect(() => compile({ ...spec, linux: {} }, context)).toThrow(/mount namespace/)
    expect(() => compile({ ...spec, process: { args: [], cwd: '/' } }, context)).toThrow(/empty/)
    expect(() => compile({ ...spec, mounts: [{ destination: 'x' }] }, context)).toThrow(/"x"/)
  })

  it('runs further processes inside', () => {
    const exec = compileExec(
      { args: ['id'], cwd: '/', terminal: true },
      {
        id: 'ID',
        pid: 42,
        cgroups: context.cgroups,
        namespaces: CLONE.NEWNS | CLONE.NEWPID,
        kernel: context.kernel,
        seccomp: undefined,
        stdin: true,
      },
    )
    expect(exec.join.map((j) => j.path)).toEqual(['/proc/42/ns/pid', '/proc/42/ns/mnt'])
    expect(names(exec.child)).toEqual([
      'setsid',
      'console',
      'umask',
      'chdir',
      'bounding',
      'credentials',
      'capabilities',
      'exec',
    ])
    expect(explainPlan(exec)).toHaveLength(2 + 1 + 1 + 8)
  })
})

describe('explain', () => {
  it('says each call with its reason', () => {
    const lines = explainPlan(compile(spec, context)).map((l) => l.replace(/ {3,}/, '   '))
    expect(lines).toContain(
      `mount("proc", "/proc", "proc", MS_NOSUID|MS_NODEV|MS_NOEXEC)   process list of the container's own PID namespace`,
    )
    expect(lines).toContain('setns("/run/ns/net", CLONE_NEWNET)   shares the sandbox\'s network')
    expect(lines.at(-1)).toBe('execve(["sh"])   the program itself')
  })

  it('is one printable line a step, whatever the configuration holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        const odd = compile(
          {
            ...spec,
            process: { args: [a], cwd: `/${b}` },
            mounts: [{ destination: `/${a}`, type: b, source: a, options: [b] }],
          },
          context,
        )
        const lines = explainPlan(odd)
        expect(lines).toHaveLength(
          odd.join.length + 2 + odd.host.length + odd.parent.length + odd.child.length,
        )
        for (const line of lines) expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/)
      }),
    )
  })
})

describe('words', () => {
  it('sorts mount options', () => {
    expect(parseMountOptions(['ro', 'rw', 'nosuid', 'rslave', 'size=1k', 'mode=1', 'rro'])).toEqual({
      flags: MS.NOSUID | MS.RDONLY,
      propagation: MS.SLAVE | MS.REC,
      recursive: 1,
      data: 'size=1k,mode=1',
    })
  })

  it('reads signals', () => {
    expect(['TERM', 'SIGKILL', '15', 'sigint', 'RTMIN+3', 'RTMAX-1'].map(signalNumber)).toEqual([
      15, 9, 15, 2, 37, 63,
    ])
    expect(['', '0', '65', 'SIGFOO', 'RTMIN+31'].map(signalNumber)).toEqual(Array(5).fill(undefined))
  })
})
