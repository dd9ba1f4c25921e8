import { describe, expect, it } from 'vitest'
import { hostsFile, mergeResolver, resolvConf } from './etc.ts'
import { settings } from './fixtures.testkit.ts'
import { mergeEnv, normalizePath, planMounts, resolveProcess } from './resolve.ts'

const image = {
  Entrypoint: ['/entry'],
  Cmd: ['serve'],
  Env: ['PATH=/p', 'A=1'],
  WorkingDir: '/srv',
  User: 'web',
  Labels: { a: 'image', b: 'image' },
  Volumes: { '/data': {}, '/data/deep': {} },
  ExposedPorts: { '80/tcp': {} },
  StopSignal: 'SIGQUIT',
}
const argv = (over: Parameters<typeof settings>[0], of: object = image) => {
  const { entrypoint, cmd } = resolveProcess(settings(over), of)
  return [...entrypoint, ...cmd]
}

describe('resolveProcess', () => {
  it('joins entrypoint and command as docker does', () => {
    expect(argv({})).toEqual(['/entry', 'serve'])
    expect(argv({ cmd: ['x'] })).toEqual(['/entry', 'x'])
    expect(argv({ entrypoint: ['/mine'] })).toEqual(['/mine'])
    expect(argv({ entrypoint: ['/mine'], cmd: ['x'] })).toEqual(['/mine', 'x'])
    expect(argv({ entrypoint: [''], cmd: ['x'] })).toEqual(['x'])
    expect(argv({ cmd: [] })).toEqual(['/entry', 'serve'])
    expect(() => argv({ entrypoint: [''] })).toThrow('No command specified')
    expect(() => argv({}, {})).toThrow('No command specified')
  })

  it('takes the rest from the image unless told otherwise', () => {
    const resolved = resolveProcess(
      settings({
        env: ['A=2', 'B=3'],
        labels: { a: 'mine' },
        ports: [{ hostIp: '', hostPort: 0, containerPort: 90, protocol: 'udp' }],
      }),
      image,
    )
    expect(resolved).toMatchObject({
      env: ['PATH=/p', 'A=2', 'B=3'],
      labels: { a: 'mine', b: 'image' },
      user: 'web',
      workingDir: '/srv',
      stopSignal: 'SIGQUIT',
      exposedPorts: ['80/tcp', '90/udp'],
    })
    expect(resolveProcess(settings({ cmd: ['x'] }), {}).env[0]).toMatch(/^PATH=\/usr\/local\/sbin:/)
    expect(() => resolveProcess(settings({ stopSignal: 'NOPE' }), image)).toThrow('Invalid signal: NOPE')
    expect(() => resolveProcess(settings({ workingDir: 'x' }), image)).toThrow(/absolute path/)
  })

  it('merges environments', () => {
    expect(mergeEnv(['A=1', 'B=2'], ['A=3', 'B', 'C='])).toEqual(['A=3', 'C='])
  })
})

describe('planMounts', () => {
  let n = 0
  const plan = (mounts: Parameters<typeof settings>[0]) =>
    planMounts(settings(mounts), image, () => `anon${++n}`)

  it('adds the image’s volumes, parents before children', () => {
    const mounts = plan({
      mounts: [
        { kind: 'volume', source: 'named', target: '/data', readOnly: true },
        { kind: 'bind', source: '/a/../b', target: '/x', readOnly: false },
        { kind: 'volume', target: '/y/', readOnly: false },
      ],
    })
    expect(mounts.map(({ name, source, target, anonymous }) => [name, source, target, anonymous])).toEqual([
      ['named', undefined, '/data', false],
      [undefined, '/b', '/x', false],
      ['anon1', undefined, '/y', true],
      ['anon2', undefined, '/data/deep', true],
    ])
  })

  it('refuses bad places', () => {
    const bind = (source: string, target: string) => () =>
      plan({ mounts: [{ kind: 'bind', source, target, readOnly: false }] })
    expect(bind('/a', 'x')).toThrow(/must be absolute/)
    expect(bind('a', '/x')).toThrow(/source path "a" must be absolute/)
    expect(bind('/a', '/x/..')).toThrow(/destination can't be/)
    const twice = { kind: 'tmpfs', target: '/x', readOnly: false } as const
    expect(() => plan({ mounts: [twice, twice] })).toThrow('Duplicate mount point: /x')
  })

  it('cleans paths', () => {
    expect(['/', '//a/./b/../c/', '/../..', ''].map(normalizePath)).toEqual(['/', '/a/c', '/', '/'])
  })
})

describe('/etc', () => {
  const hosts = { hostname: 'box', addresses: ['10.0.0.2'], extra: [], gateway: '10.0.0.1' }

  it('has hosts', () => {
    expect(hostsFile(hosts)).toMatch(/^127\.0\.0\.1\tlocalhost\n[\s\S]*\n10\.0\.0\.2\tbox\n$/)
    expect(hostsFile({ ...hosts, domainname: 'lan' })).toContain('10.0.0.2\tbox.lan box\n')
    const extra = hostsFile({ ...hosts, extra: ['db:10.9.9.9', 'h:host-gateway', 'v6=[::2]'] })
    expect(extra).toContain('10.9.9.9\tdb\n10.0.0.1\th\n::2\tv6\n')
    expect(() => hostsFile({ ...hosts, extra: ['x'] })).toThrow(/Bad format for add-host/)
    expect(() => hostsFile({ ...hosts, gateway: undefined, extra: ['x:host-gateway'] })).toThrow(/no gateway/)
  })

  it('has a resolver, of which each part can be replaced', () => {
    const network = { servers: ['10.0.0.1'], search: ['a'], options: ['ndots:0'] }
    expect(resolvConf(mergeResolver(network, undefined))).toBe(
      'nameserver 10.0.0.1\nsearch a\noptions ndots:0\n',
    )
    expect(resolvConf(mergeResolver(network, { servers: ['9.9.9.9'], search: ['.'], options: [] }))).toBe(
      'nameserver 9.9.9.9\noptions ndots:0\n',
    )
  })
})
