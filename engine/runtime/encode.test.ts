import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { encodeExec, encodeLaunch, ops, sysctlPath } from './encode.ts'
import type { ExecPlan, LaunchPlan, Step } from './plan.ts'

const plan = (child: readonly Step[]): LaunchPlan => ({
  version: 1,
  id: 'a',
  supervisor: {
    socket: '/s',
    stateFolder: '/f',
    terminal: false,
    stdin: true,
    stdinOnce: false,
    pauseOnly: false,
    cgroups: ['/c'],
  },
  join: [],
  cloneFlags: 0,
  host: [],
  parent: [],
  child,
})

describe('encode', () => {
  it('writes an exec plan byte by byte as plan.c reads it', () => {
    const exec: ExecPlan = {
      version: 1,
      id: 'x',
      terminal: true,
      stdin: false,
      join: [{ path: '/n', kind: 0x4000_0000, why: 'w' }],
      parent: [],
      child: [{ do: 'umask', mask: 0o22, why: 'y' }],
    }
    const text = (s: string) => [s.length, 0, 0, 0, ...Buffer.from(s), 0]
    const step = [24, 0, ...text('y'), ...text(''), 0o22, 0, 0, 0]
    expect([...encodeExec(exec)]).toEqual([
      ...[1, 0, 0, 0],
      ...text('x'),
      ...[1, 0],
      ...[1, 0, 0, 0, ...text('/n'), 0, 0, 0, 0x40, ...text('w')],
      ...[0, 0, 0, 0, 0, 0, 0, 0],
      ...[1, 0, 0, 0, step.length + 4, 0, 0, 0, step.length, 0, 0, 0, ...step],
    ])
  })

  it('numbers the steps as plan.h does', () => {
    const header = readFileSync(join(import.meta.dirname, 'launcher/plan.h'), 'utf8')
    const inC = Object.fromEntries(
      [...header.matchAll(/^ {2}OP_(\w+) = (\d+),$/gm)].map((m) => [
        m[1]?.toLowerCase().replaceAll('_', '-'),
        Number(m[2]),
      ]),
    )
    const inTs = Object.fromEntries(Object.entries(ops).map(([name, [op]]) => [name, op]))
    delete inTs.sysctl
    expect(inTs).toEqual(inC)
  })

  it('refuses what the launcher could not read', () => {
    expect(() => encodeLaunch(plan([{ do: 'hostname', name: 'a\0b', why: '' }]))).toThrow(/NUL/)
    expect(() => encodeLaunch(plan([{ do: 'umask', mask: -1, why: '' }]))).toThrow(/out of range/)
    expect(() => encodeLaunch(plan([{ do: 'rlimit', resource: 7, soft: 1.5, hard: 2, why: '' }]))).toThrow(
      /out of range/,
    )
  })

  it('takes an unlimited resource', () => {
    const hard = JSON.parse('18446744073709551615')
    const unlimited = encodeLaunch(plan([{ do: 'rlimit', resource: 7, soft: -1, hard, why: '' }]))
    expect([...unlimited.slice(-16)]).toEqual(Array(16).fill(255))
  })

  it('finds the file of a sysctl', () => {
    expect(sysctlPath('net.ipv4.ip_forward')).toBe('/proc/sys/net/ipv4/ip_forward')
    expect(sysctlPath('net.ipv4.conf.eth0/100.forwarding')).toBe(
      '/proc/sys/net/ipv4/conf/eth0.100/forwarding',
    )
    expect(sysctlPath('net/ipv4/conf/eth0.100/forwarding')).toBe(
      '/proc/sys/net/ipv4/conf/eth0.100/forwarding',
    )
    expect(() => sysctlPath('net/../../sysrq-trigger')).toThrow(/not a kernel setting/)
    expect(() => sysctlPath('')).toThrow(/not a kernel setting/)
  })
})
