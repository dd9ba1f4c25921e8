import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Step } from '../plan.ts'
import { type CgroupLayout, cgroupAttachSteps, cgroupSteps, cpuWeight, parseHierarchies } from './cgroups.ts'
import { defaultDeviceRules } from './defaults.ts'
import { deviceProgram } from './device-program.ts'
import type { OciDeviceRule, OciResources } from './types.ts'

const v1: CgroupLayout = {
  version: 1,
  parent: '/berth',
  cpus: '0-1',
  mems: '0',
  hierarchies: ['memory', 'cpuset', 'cpu,cpuacct', 'pids', 'devices', 'blkio'].map((name) => ({
    name,
    controllers: name.split(','),
    mount: `/sys/fs/cgroup/${name}`,
  })),
}
const v2: CgroupLayout = {
  ...v1,
  version: 2,
  parent: '/berth.slice/pod',
  hierarchies: [
    { name: '', controllers: ['cpu', 'memory', 'pids', 'cpuset', 'io'], mount: '/sys/fs/cgroup' },
  ],
}
const resources: OciResources = {
  memory: { limit: 1 << 30, swap: 3 << 29, reservation: 1 << 20 },
  cpu: { shares: 512, quota: 50_000, period: 100_000, cpus: '0' },
  pids: { limit: 64 },
  devices: defaultDeviceRules,
}
const writes = (steps: readonly Step[]) =>
  steps.flatMap((s) => (s.do === 'write' ? [`${s.path} ${s.text}`] : []))

describe('cgroups', () => {
  it('writes v1 files', () => {
    const list = writes(cgroupSteps(v1, 'ID', resources))
    for (const line of [
      '/sys/fs/cgroup/memory/berth/ID/memory.limit_in_bytes 1073741824',
      '/sys/fs/cgroup/memory/berth/ID/memory.memsw.limit_in_bytes 1610612736',
      '/sys/fs/cgroup/cpu,cpuacct/berth/ID/cpu.shares 512',
      '/sys/fs/cgroup/cpu,cpuacct/berth/ID/cpu.cfs_quota_us 50000',
      '/sys/fs/cgroup/pids/berth/ID/pids.max 64',
      '/sys/fs/cgroup/devices/berth/ID/devices.deny a',
      '/sys/fs/cgroup/devices/berth/ID/devices.allow c 136:* rwm',
    ]) {
      expect(list).toContain(line)
    }
    const cpus = list.filter((line) => line.includes('cpuset.cpus'))
    expect(cpus).toEqual([
      '/sys/fs/cgroup/cpuset/berth/cpuset.cpus 0-1',
      '/sys/fs/cgroup/cpuset/berth/ID/cpuset.cpus 0-1',
      '/sys/fs/cgroup/cpuset/berth/ID/cpuset.cpus 0',
    ])
  })

  it('writes v2 files', () => {
    expect(writes(cgroupSteps(v2, 'ID', resources))).toEqual([
      '/sys/fs/cgroup/cgroup.subtree_control +cpu +memory +pids +cpuset +io',
      '/sys/fs/cgroup/berth.slice/cgroup.subtree_control +cpu +memory +pids +cpuset +io',
      '/sys/fs/cgroup/berth.slice/pod/cgroup.subtree_control +cpu +memory +pids +cpuset +io',
      '/sys/fs/cgroup/berth.slice/pod/ID/memory.max 1073741824',
      '/sys/fs/cgroup/berth.slice/pod/ID/memory.swap.max 536870912',
      '/sys/fs/cgroup/berth.slice/pod/ID/memory.low 1048576',
      '/sys/fs/cgroup/berth.slice/pod/ID/cpu.weight 59',
      '/sys/fs/cgroup/berth.slice/pod/ID/cpu.max 50000 100000',
      '/sys/fs/cgroup/berth.slice/pod/ID/cpuset.cpus 0',
      '/sys/fs/cgroup/berth.slice/pod/ID/pids.max 64',
    ])
    expect(cgroupAttachSteps(v2, 'ID', resources).map((s) => s.do)).toEqual([
      'cgroup-devices',
      'cgroup-attach',
    ])
  })

  it('writes nothing for what is not asked', () => {
    expect(writes(cgroupSteps(v1, 'ID', {})).filter((line) => !line.includes('cpuset'))).toEqual([])
    expect(writes(cgroupSteps(v2, 'ID', {})).filter((line) => !line.includes('subtree'))).toEqual([])
  })

  it('keeps the fixed points of the weight', () => {
    expect([1, 2, 1024, 262_144, 1e9].map(cpuWeight)).toEqual(['1', '1', '100', '10000', '10000'])
    expect(cpuWeight(undefined)).toBe('')
  })

  it('reads mountinfo of hybrid hosts', () => {
    const mountinfo = [
      '31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755',
      '32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct',
      '40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd',
      '41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw',
    ].join('\n')
    expect(parseHierarchies(mountinfo, [])).toEqual([
      { name: 'cpu,cpuacct', controllers: ['cpu', 'cpuacct'], mount: '/sys/fs/cgroup/cpu,cpuacct' },
      { name: 'name=systemd', controllers: [], mount: '/sys/fs/cgroup/systemd' },
      { name: '', controllers: [], mount: '/sys/fs/cgroup/unified' },
    ])
  })
})

interface Request {
  readonly type: 'b' | 'c'
  readonly major: number
  readonly minor: number
  readonly access: string
}

/** The kernel's interpreter for the instructions that a device program may have. */
function run(program: Uint8Array, { type, major, minor, access }: Request): number {
  const view = new DataView(program.buffer)
  const bits =
    (access.includes('m') ? 1 : 0) | (access.includes('r') ? 2 : 0) | (access.includes('w') ? 4 : 0)
  const context = [(bits << 16) | (type === 'b' ? 1 : 2), major, minor]
  const registers = new Array<number>(11).fill(0)
  for (let pc = 0; ; pc++) {
    const code = view.getUint8(pc * 8)
    const d = view.getUint8(pc * 8 + 1) & 15
    const s = registers[view.getUint8(pc * 8 + 1) >> 4] ?? 0
    const offset = view.getInt16(pc * 8 + 2, true)
    const k = view.getInt32(pc * 8 + 4, true)
    const v = registers[d] ?? 0
    if (code === 0x61) registers[d] = context[offset / 4] ?? 0
    else if (code === 0xbf) registers[d] = s
    else if (code === 0xb7) registers[d] = k
    else if (code === 0x77) registers[d] = v >>> k
    else if (code === 0x57) registers[d] = v & k
    else if (code === 0x55) pc += v !== k ? offset : 0
    else if (code === 0x15) pc += v === k ? offset : 0
    else if (code === 0x95) return registers[0] ?? 0
    else throw new Error(`instruction ${code}`)
  }
}

/** The last rule that speaks of a device decides for each access. */
function meaning(rules: readonly OciDeviceRule[], wanted: Request): boolean {
  return [...wanted.access].every((letter) => {
    const rule = rules.findLast(
      (r) =>
        (!r.type || r.type === 'a' || r.type === wanted.type) &&
        (r.major === undefined || r.major < 0 || r.major === wanted.major) &&
        (r.minor === undefined || r.minor < 0 || r.minor === wanted.minor) &&
        (r.access ?? 'rwm').includes(letter),
    )
    return rule?.allow ?? false
  })
}

describe('device program', () => {
  it('allows what docker allows', () => {
    const program = deviceProgram(defaultDeviceRules)
    const ask = (type: 'b' | 'c', major: number, minor: number, access: string) =>
      run(program, { type, major, minor, access })
    expect(ask('c', 1, 3, 'rw')).toBe(1)
    expect(ask('c', 136, 7, 'rw')).toBe(1)
    expect(ask('c', 1, 1, 'r')).toBe(0)
    expect(ask('b', 8, 0, 'm')).toBe(1)
    expect(ask('b', 8, 0, 'rm')).toBe(0)
  })

  it('means what the rules say', () => {
    const access = fc.subarray(['r', 'w', 'm'], { minLength: 1 }).map((list) => list.join(''))
    const number = fc.integer({ min: -1, max: 2 })
    const rule = fc.record({
      allow: fc.boolean(),
      type: fc.constantFrom('a', 'b', 'c'),
      major: number,
      minor: number,
      access,
    })
    const request = fc.record({
      type: fc.constantFrom('b', 'c'),
      major: fc.nat(2),
      minor: fc.nat(2),
      access,
    })
    fc.assert(
      fc.property(
        fc.array(rule as fc.Arbitrary<OciDeviceRule>, { maxLength: 6 }),
        request,
        (rules, wanted) => {
          expect(run(deviceProgram(rules), wanted as Request)).toBe(meaning(rules, wanted as Request) ? 1 : 0)
        },
      ),
      { numRuns: 1000 },
    )
  })
})
