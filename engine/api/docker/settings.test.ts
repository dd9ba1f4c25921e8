import { describe, expect, it } from 'vitest'
import type { ContainerCreate } from '../../client/docker/types.ts'
import { parseFilters, passes, passesLabels } from './filters.ts'
import { parseBind } from './mounts.ts'
import { Router, splitVersion } from './router.ts'
import { containerSettings, withImagePorts } from './settings.ts'
import { parseSignal } from './signals.ts'

const settings = (body: Partial<ContainerCreate>, name = '') =>
  containerSettings(name, { Image: 'redis', ...body }, { maxSizeBytes: 1, maxFiles: 2 })

describe('containerSettings', () => {
  it("takes docker's body over", () => {
    const made = settings({
      Cmd: ['x'],
      Tty: true,
      HostConfig: {
        Binds: ['/a:/b:ro', 'vol:/c'],
        Tmpfs: { '/t': 'size=1m,mode=1777,noexec' },
        PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '8080' }], '53/udp': [] },
        NanoCpus: 5e8,
        NetworkMode: 'default',
        SecurityOpt: ['no-new-privileges', 'seccomp=unconfined'],
      },
      NetworkingConfig: { EndpointsConfig: { n: { Aliases: ['a'] } } },
    })
    expect(made).toMatchObject({
      image: 'redis',
      cmd: ['x'],
      terminal: true,
      networkMode: 'bridge',
      networks: [{ name: 'n', aliases: ['a'] }],
      noNewPrivileges: true,
      seccomp: 'unconfined',
      resources: { nanoCpus: 5e8 },
      log: { maxSizeBytes: 1, maxFiles: 2 },
      mounts: [
        { kind: 'bind', source: '/a', target: '/b', readOnly: true, createSource: true },
        { kind: 'volume', source: 'vol', target: '/c', readOnly: false },
        { kind: 'tmpfs', target: '/t', sizeBytes: 1 << 20, mode: 0o1777, options: ['noexec'] },
      ],
      ports: [
        { hostIp: '', hostPort: 8080, containerPort: 80, protocol: 'tcp' },
        { hostIp: '', hostPort: 0, containerPort: 53, protocol: 'udp' },
      ],
    })
    expect('entrypoint' in made).toBe(false)
  })

  it('publishes what the image exposes with PublishAllPorts, and only then', () => {
    const image = { ExposedPorts: { '6379/tcp': {}, '80/tcp': {} } }
    const HostConfig = {
      PublishAllPorts: true,
      PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '8080' }] },
    }
    expect(settings(withImagePorts({ HostConfig, ExposedPorts: { '53/udp': {} } }, image)).ports).toEqual([
      { hostIp: '', hostPort: 8080, containerPort: 80, protocol: 'tcp' },
      { hostIp: '', hostPort: 0, containerPort: 6379, protocol: 'tcp' },
      { hostIp: '', hostPort: 0, containerPort: 53, protocol: 'udp' },
    ])
    expect(settings(withImagePorts({}, image)).ports).toEqual([])
    expect(settings(withImagePorts({ HostConfig }, undefined)).ports).toHaveLength(1)
  })

  it.each([
    [{ Image: '' }, '', 'Config cannot be empty'],
    [{}, '-x', 'Invalid container name (-x)'],
    [{ HostConfig: { RestartPolicy: { Name: 'alway' } } }, '', "invalid restart policy 'alway'"],
    [
      { HostConfig: { AutoRemove: true, RestartPolicy: { Name: 'always' } } },
      '',
      "can't create 'AutoRemove'",
    ],
    [{ HostConfig: { Memory: 1024 } }, '', 'Minimum memory limit'],
    [{ HostConfig: { VolumesFrom: ['x'] } }, '', '--volumes-from is not there yet'],
    [{ HostConfig: { Binds: ['/a:/b', '/c:/b'] } }, '', 'Duplicate mount point: /b'],
    [{ HostConfig: { PortBindings: { 'x/tcp': [] } } }, '', 'invalid port specification'],
    [{ HostConfig: { LogConfig: { Type: 'syslog' } } }, '', "no log driver named 'syslog'"],
  ])('refuses %j %j', (body, name, message) => expect(() => settings(body, name)).toThrow(message))
})

describe('parseBind', () => {
  it.each(['/a', 'a:b', '../x:/b', '/a:/b:sometimes', '/a:/', ':/b'])('refuses %s', (text) => {
    expect(() => parseBind(text)).toThrow(/invalid|Invalid|too short/)
  })
})

describe('filters', () => {
  it('are read in both forms', () => {
    const filters = parseFilters('{"status":["a"],"label":{"x=1":true,"y":false}}', ['status', 'label'])
    expect(passes(filters, 'status', (v) => v === 'a')).toBe(true)
    expect(passes(filters, 'name', () => false)).toBe(true)
    expect([passesLabels(filters, { x: '1' }), passesLabels(filters, { x: '2' })]).toEqual([true, false])
  })

  it('refuse keys that the list does not know', () => {
    expect(() => parseFilters('{"statu":["a"]}', ['status'])).toThrow("invalid filter 'statu'")
  })
})

describe('routes', () => {
  const route = (method: string, pattern: string) => ({ method, pattern, answer: () => undefined })
  const router = new Router([route('GET', '/images/:name*/json'), route('DELETE', '/images/:name*')])

  it('capture names with slashes and versions', () => {
    expect(router.find('GET', '/images/a/b:1/json')?.parameters).toEqual(['a/b:1'])
    expect(router.find('HEAD', '/images/a/json')?.parameters).toEqual(['a'])
    expect(router.find('POST', '/images/a')).toBeUndefined()
    expect(splitVersion('/v1.41/info')).toEqual({ version: [1, 41], rest: '/info' })
    expect(splitVersion('/version')).toEqual({ version: undefined, rest: '/version' })
  })
})

describe('parseSignal', () => {
  it.each([
    ['KILL', 9],
    ['SIGTERM', 15],
    ['sigint', 2],
    ['10', 10],
    ['RTMIN+3', 37],
  ])('%s', (text, number) => expect(parseSignal(text)).toBe(number))

  it('refuses others', () => expect(() => parseSignal('KILLL')).toThrow('Invalid signal: KILLL'))
})
