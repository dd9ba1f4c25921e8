import { describe, expect, it } from 'vitest'
import { parseMount, parseVolume } from './mounts.ts'
import { parsePort } from './ports.ts'
import { portsText } from './ps.ts'
import { parseDetachKeys } from './session.ts'
import { containerBody, environment } from './settings.ts'

const caller = { env: { HOME: '/root' }, folder: '/work', readFile: () => '# comment\n\nA=1\nHOME\n' }

describe('ports', () => {
  it.each([
    ['80', [['80/tcp', '', '']]],
    ['8080:80', [['80/tcp', '', '8080']]],
    ['127.0.0.1::80/udp', [['80/udp', '127.0.0.1', '']]],
    ['127.0.0.1:8080:80', [['80/tcp', '127.0.0.1', '8080']]],
    ['[::1]:80:80', [['80/tcp', '::1', '80']]],
    [
      '8000-8001:80-81',
      [
        ['80/tcp', '', '8000'],
        ['81/tcp', '', '8001'],
      ],
    ],
    ['8000-8010:80', [['80/tcp', '', '8000-8010']]],
  ])('%s', (text, expected) =>
    expect(parsePort(text).map((p) => [p.key, p.HostIp, p.HostPort])).toEqual(expected),
  )

  it.each(['0:80', '80/icmp', 'x', '1-2:3-5', '70000'])('refuses %s', (text) => {
    expect(() => parsePort(text)).toThrow('Cannot publish')
  })

  it('prints them as docker does', () => {
    const port = (IP: string, PrivatePort: number, PublicPort = PrivatePort) => ({
      IP,
      PrivatePort,
      PublicPort,
      Type: 'tcp',
    })
    expect(
      portsText([port('0.0.0.0', 80, 8081), port('::', 9001), port('::', 9000), port('0.0.0.0', 9000)]),
    ).toBe('0.0.0.0:9000->9000/tcp, [::]:9000-9001->9000-9001/tcp, 0.0.0.0:8081->80/tcp')
    expect(portsText([{ PrivatePort: 443, Type: 'tcp' }])).toBe('443/tcp')
  })
})

describe('mounts', () => {
  it('of -v', () => {
    expect(parseVolume('/data', '/w')).toEqual({ anonymous: '/data' })
    expect(parseVolume('name:/data:ro', '/w')).toEqual({ bind: 'name:/data:ro' })
    expect(parseVolume('./a:/data', '/w')).toEqual({ bind: '/w/a:/data' })
  })

  it('of --mount', () => {
    expect(parseMount('type=bind,src=a,dst=/b,readonly', '/w')).toEqual({
      Type: 'bind',
      Source: '/w/a',
      Target: '/b',
      ReadOnly: true,
    })
    expect(() => parseMount('type=bind,dst=/b', '/w')).toThrow('the source of a bind is missing')
    expect(() => parseMount('typ=bind', '/w')).toThrow('unknown key "typ"')
  })
})

describe('containerBody', () => {
  it('takes variables from flags, files and the caller', () => {
    expect(environment({ envFile: ['f'], env: ['B=2', 'UNSET', 'HOME'] }, caller)).toEqual([
      'A=1',
      'HOME=/root',
      'B=2',
      'HOME=/root',
    ])
  })

  it('has docker’s shape', () => {
    const body = containerBody(
      'redis',
      ['x'],
      {
        interactive: true,
        memory: '64m',
        cpus: '1.5',
        network: ['n'],
        networkAlias: ['a'],
        tmpfs: ['/t:size=1m'],
        publish: ['80:80'],
        restart: 'on-failure:3',
        label: ['a=b', 'c'],
      },
      caller,
    )
    expect(body).toMatchObject({
      AttachStdin: true,
      OpenStdin: true,
      StdinOnce: true,
      Cmd: ['x'],
      Labels: { a: 'b', c: '' },
      ExposedPorts: { '80/tcp': {} },
      HostConfig: {
        Memory: 64 << 20,
        NanoCpus: 1.5e9,
        NetworkMode: 'n',
        Tmpfs: { '/t': 'size=1m' },
        RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 3 },
      },
      NetworkingConfig: { EndpointsConfig: { n: { Aliases: ['a'] } } },
    })
  })

  it('refuses what contradicts itself', () => {
    expect(() => containerBody('x', [], { rm: true, restart: 'always' }, caller)).toThrow(
      '--restart and --rm',
    )
    expect(() => containerBody('x', [], { memory: 'much' }, caller)).toThrow('Cannot read "much" of --memory')
    expect(() => containerBody('x', [], { restart: 'sometimes' }, caller)).toThrow('Unknown restart policy')
  })
})

describe('detach keys', () => {
  it('are bytes', () => {
    expect(parseDetachKeys('ctrl-p,ctrl-q')).toEqual([16, 17])
    expect(parseDetachKeys('a,ctrl-@')).toEqual([97, 0])
    expect(() => parseDetachKeys('ctrl-')).toThrow('as a key')
  })
})
