import { describe, expect, it } from 'vitest'
import { NameTable } from './names.ts'
import { resolve } from './resolve.ts'

const names = new NameTable('cluster.local')
const on = (network: string, sandboxId: string, address: string, ...own: string[]) =>
  names.setEndpoint({ network, sandboxId, address, names: own })
on('front', 'web', '10.210.128.2', 'web', 'Www')
on('front', 'proxy', '10.210.128.3', 'proxy')
on('front', 'proxy2', '10.210.128.4', 'proxy')
on('back', 'web', '10.210.129.2', 'web')
on('back', 'db', '10.210.129.3', 'db')
names.setServices(
  [
    {
      namespace: 'shop',
      name: 'redis',
      address: '10.211.0.5',
      ports: [{ name: 'resp', port: 6379, protocol: 'TCP' }],
      hosts: [{ address: '10.210.0.5' }],
    },
    {
      namespace: 'shop',
      name: 'db',
      ports: [{ name: 'sql', port: 5432, protocol: 'TCP' }],
      hosts: [{ address: '10.210.0.6', hostname: 'db-0' }, { address: '10.210.0.7' }],
    },
    { namespace: 'shop', name: 'none', ports: [], hosts: [] },
    { namespace: 'default', name: 'ext', externalName: 'example.org', ports: [], hosts: [] },
  ],
  [{ address: '10.210.0.5', namespace: 'shop' }],
)

const isLocal = (address: string) => /^10\.21[01]\./.test(address)
function ask(name: string, type = 'A', asker = '10.210.128.2', turn = 0): string {
  const found = resolve({ name, type }, { names, asker, isLocal, turn })
  if (found.kind === 'alias') return `alias ${found.to}`
  if (found.kind !== 'records') return found.kind
  return found.answers
    .map((answer) =>
      'data' in answer ? (typeof answer.data === 'string' ? answer.data : JSON.stringify(answer.data)) : '',
    )
    .join(' ')
}

describe('resolve', () => {
  it('finds containers on the networks of the asker only, whatever the case', () => {
    expect(ask('db')).toBe('10.210.129.3')
    expect(ask('DB.back')).toBe('10.210.129.3')
    expect(ask('www')).toBe('10.210.128.2')
    expect(ask('db', 'A', '10.210.128.3')).toBe('forward')
    expect(ask('web', 'A', '10.210.129.3')).toBe('10.210.129.2')
    expect(ask('web', 'A', '192.0.2.1')).toBe('forward')
  })

  it('gives all containers of a shared name, beginning with another each time', () => {
    expect(ask('proxy', 'A', '10.210.128.2', 0)).toBe('10.210.128.3 10.210.128.4')
    expect(ask('proxy', 'A', '10.210.128.2', 1)).toBe('10.210.128.4 10.210.128.3')
  })

  it('says "no such record" for IPv6, not "no such name"', () => {
    expect(ask('db', 'AAAA')).toBe('empty')
    expect(ask('redis.shop.svc.cluster.local', 'AAAA')).toBe('empty')
    expect(ask('redis.shop.svc.cluster.local', 'MX')).toBe('empty')
  })

  it('finds services by every form of their name', () => {
    for (const name of [
      'redis.shop',
      'redis.shop.svc',
      'Redis.Shop.svc.Cluster.Local',
      'redis.shop.svc.cluster.local.',
    ]) {
      expect(ask(name), name).toBe('10.211.0.5')
    }
    expect(ask('redis', 'A', '10.210.0.5')).toBe('10.211.0.5')
    expect(ask('redis')).toBe('forward')
    expect(ask('ext', 'A')).toBe('alias example.org')
  })

  it('finds the pods of a headless service, by hostname or address', () => {
    expect(ask('db.shop.svc.cluster.local')).toBe('10.210.0.6 10.210.0.7')
    expect(ask('db-0.db.shop.svc.cluster.local')).toBe('10.210.0.6')
    expect(ask('10-210-0-7.db.shop.svc.cluster.local')).toBe('10.210.0.7')
    expect(ask('db-1.db.shop.svc.cluster.local')).toBe('missing')
    expect(ask('none.shop.svc.cluster.local')).toBe('missing')
    expect(ask('10-210-0-5.shop.pod.cluster.local')).toBe('10.210.0.5')
  })

  it('gives ports as SRV', () => {
    expect(ask('_resp._tcp.redis.shop.svc.cluster.local', 'SRV')).toBe(
      '{"priority":0,"weight":100,"port":6379,"target":"redis.shop.svc.cluster.local"}',
    )
    expect(ask('_sql._tcp.db.shop.svc.cluster.local', 'SRV')).toContain(
      '"target":"db-0.db.shop.svc.cluster.local"',
    )
    expect(ask('_sql._udp.db.shop.svc.cluster.local', 'SRV')).toBe('missing')
    expect(ask('_sql._tcp.db.shop.svc.cluster.local', 'A')).toBe('empty')
    expect(ask('_tcp.db.shop.svc.cluster.local', 'A')).toBe('empty')
  })

  it('keeps what is below its domain: names above others exist, unknown ones do not', () => {
    expect(ask('cluster.local')).toBe('empty')
    expect(ask('svc.cluster.local')).toBe('empty')
    expect(ask('shop.svc.cluster.local')).toBe('empty')
    expect(ask('nobody.svc.cluster.local')).toBe('missing')
    expect(ask('redis.nobody.svc.cluster.local')).toBe('missing')
    expect(ask('x.cluster.local')).toBe('missing')
    expect(ask('example.org')).toBe('forward')
    expect(ask('example.org.shop.svc.cluster.local')).toBe('missing')
  })

  it('names its addresses, and asks others about the rest', () => {
    expect(ask('5.0.211.10.in-addr.arpa', 'PTR')).toBe('redis.shop.svc.cluster.local')
    expect(ask('6.0.210.10.in-addr.arpa', 'PTR')).toBe('db-0.db.shop.svc.cluster.local')
    expect(ask('3.129.210.10.in-addr.arpa', 'PTR')).toBe('db.back')
    expect(ask('3.129.210.10.in-addr.arpa', 'PTR', '10.210.128.3')).toBe('missing')
    expect(ask('9.9.210.10.in-addr.arpa', 'PTR')).toBe('missing')
    expect(ask('8.8.8.8.in-addr.arpa', 'PTR')).toBe('forward')
  })

  it('forgets what is gone', () => {
    names.removeEndpoint('front', 'proxy')
    names.removeEndpoint('front', 'proxy')
    expect(ask('proxy')).toBe('10.210.128.4')
    names.setServices([])
    expect(ask('redis.shop.svc.cluster.local')).toBe('missing')
  })
})
