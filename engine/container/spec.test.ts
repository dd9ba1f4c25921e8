import { describe, expect, it } from 'vitest'
import { capabilities as allCapabilities } from '../runtime/oci/linux.ts'
import { record, settings } from './fixtures.testkit.ts'
import { buildSpec, capabilityNames, execProcess, resourcesOf, type SpecFacts } from './spec.ts'

const root = { uid: 0, gid: 0, groups: [0], home: '/root' }
const facts: SpecFacts = {
  user: root,
  kernel: { arch: 'x64', release: [6, 1], capabilities: (1n << 41n) - 1n, oomScoreAdj: 0 },
  namespaces: { network: '/ns/net', ipc: '/ns/ipc', uts: '/ns/uts', pid: 'new', cgroup: 'new' },
  etc: [{ target: '/etc/hosts', source: '/c/hosts' }],
  devices: [],
  rootfs: '/c/rootfs',
}
const specOf = (over: Parameters<typeof settings>[0], more: Partial<SpecFacts> = {}) =>
  buildSpec(record({ settings: settings(over) }), { ...facts, ...more })

describe('buildSpec', () => {
  it('is docker’s by default', () => {
    const spec = specOf({})
    expect(spec.mounts?.map((mount) => mount.destination)).toEqual([
      '/proc',
      '/dev',
      '/dev/pts',
      '/sys',
      '/sys/fs/cgroup',
      '/dev/mqueue',
      '/dev/shm',
      '/etc/hosts',
    ])
    expect(spec.process).toMatchObject({
      args: ['sh'],
      cwd: '/',
      env: ['PATH=/bin', 'HOSTNAME=aaaaaaaaaaaa', 'HOME=/root'],
    })
    expect(spec.process?.capabilities?.bounding).toHaveLength(14)
    expect(spec.linux?.seccomp?.defaultAction).toBe('SCMP_ACT_ERRNO')
    expect(spec.linux?.maskedPaths).toContain('/proc/kcore')
    expect(spec.linux?.namespaces).toContainEqual({ type: 'network', path: '/ns/net' })
  })

  it('opens everything to a privileged one', () => {
    const spec = specOf({ privileged: true })
    expect(spec.linux).toMatchObject({
      maskedPaths: [],
      readonlyPaths: [],
      resources: { devices: [{ allow: true, access: 'rwm' }] },
    })
    expect(spec.linux?.seccomp).toBeUndefined()
    expect(spec.process?.capabilities?.effective).toEqual(allCapabilities)
    expect(spec.mounts?.find((m) => m.destination === '/sys')?.options).toContain('rw')
  })

  it('gives a user other than root nothing at once', () => {
    const spec = specOf({}, { user: { ...root, uid: 7 } })
    expect(Object.keys(spec.process?.capabilities ?? {})).toEqual(['bounding'])
  })

  it('shares the host’s namespaces by leaving them out', () => {
    const spec = specOf({}, { namespaces: { pid: 'host', cgroup: 'host' } })
    expect(spec.linux?.namespaces).toEqual([{ type: 'mount' }])
  })

  it('lets a mount replace a default one', () => {
    const mount = {
      kind: 'tmpfs',
      source: '',
      target: '/dev/shm',
      readOnly: false,
      anonymous: false,
    } as const
    const spec = buildSpec(
      record({
        mounts: [
          {
            ...mount,
            setting: { kind: 'tmpfs', target: '/dev/shm', readOnly: false, sizeBytes: 9, mode: 0o1777 },
          },
        ],
      }),
      facts,
    )
    expect(spec.mounts?.filter((m) => m.destination === '/dev/shm')).toEqual([
      {
        destination: '/dev/shm',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['noexec', 'nosuid', 'nodev', 'rw', 'size=9', 'mode=1777'],
      },
    ])
  })
})

describe('parts', () => {
  it('asks for no lower OOM score than the machine allows', () => {
    const bound = { ...facts.kernel, capabilities: 0n, oomScoreAdj: -5 }
    expect(specOf({ oomScoreAdj: -997 }).process?.oomScoreAdj).toBe(-997)
    expect(specOf({ oomScoreAdj: -997 }, { kernel: bound }).process?.oomScoreAdj).toBe(-5)
    expect(specOf({ oomScoreAdj: 1000 }, { kernel: bound }).process?.oomScoreAdj).toBe(1000)
  })

  it('adds and drops capabilities', () => {
    const of = (add: string[], drop: string[]) => capabilityNames({ capabilities: { add, drop } })
    expect(of([], ['ALL'])).toEqual([])
    expect(of(['net_admin'], ['ALL'])).toEqual(['CAP_NET_ADMIN'])
    expect(of(['CAP_SYS_TIME'], ['CHOWN'])).not.toContain('CAP_CHOWN')
    expect(of(['ALL'], ['CHOWN'])).toHaveLength(allCapabilities.length - 1)
    expect(() => of(['NOPE'], [])).toThrow(/Unknown capability: "NOPE"/)
  })

  it('counts CPUs and memory', () => {
    const of = (resources: object) => resourcesOf(settings({ resources }), [])
    expect(of({ nanoCpus: 1.5e9, memoryBytes: 100 })).toMatchObject({
      cpu: { quota: 150_000, period: 100_000 },
      memory: { limit: 100, swap: 200 },
    })
    expect(of({ memoryBytes: 100, memorySwapBytes: -1 }).memory).toEqual({ limit: 100, swap: -1 })
    expect(of({}).memory).toEqual({})
  })

  it('runs a further process with its own environment and user', () => {
    const process = execProcess(
      record(),
      { argv: ['id'], env: ['A=1'], terminal: true, stdin: false, workingDir: '/x' },
      { ...root, uid: 9, home: '/h' },
    )
    expect(process).toMatchObject({
      args: ['id'],
      cwd: '/x',
      terminal: true,
      user: { uid: 9 },
      env: ['PATH=/bin', 'A=1', 'HOSTNAME=aaaaaaaaaaaa', 'TERM=xterm', 'HOME=/h'],
    })
  })
})
