import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { packageRoot } from '../../base/host/entry.ts'
import { World } from './testing/world.ts'

const dns = '10.210.0.1'

/** A name server elsewhere: knows example.org, and a name with more addresses than a small packet holds. */
const upstream = `
  const { decode, encode } = require(${JSON.stringify(join(packageRoot(), 'node_modules/dns-packet/index.js'))})
  const answer = (message) => {
    const query = decode(message)
    const [question] = query.questions
    const answers = question.name === 'example.org' && question.type === 'A'
      ? [{ type: 'A', name: question.name, ttl: 300, data: '192.0.2.80' }] : []
    return encode({ id: query.id, type: 'response', flags: answers.length ? 0x180 : 0x183, questions: query.questions, answers })
  }
  const udp = require('node:dgram').createSocket('udp4')
  udp.on('message', (message, from) => udp.send(answer(message), from.port, from.address))
  udp.bind(53, '192.0.2.2', () => console.log('ready'))`

describe('dns', () => {
  let world: World
  beforeAll(async () => {
    world = await World.open()
    await world.networks.create('front')
    const addresses = [await world.pod('a'), await world.pod('b'), await world.pod('c', 'front')]
    expect(addresses).toEqual(['10.210.0.2', '10.210.0.3', '10.210.128.2'])
    const endpoints = ['bridge', 'front'].flatMap((network) =>
      world.networks.inspect(network).endpoints.map(({ sandboxId, address, hostname, aliases }) => ({
        network,
        sandboxId,
        address,
        names: [hostname, ...aliases],
      })),
    )
    const many = Array.from({ length: 90 }, (_, n) => ({ address: `10.210.1.${n + 1}` }))
    const services = [
      {
        namespace: 'default',
        name: 'web',
        address: '10.211.0.10',
        ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
        hosts: [],
      },
      { namespace: 'default', name: 'many', ports: [], hosts: many },
      { namespace: 'default', name: 'ext', externalName: 'example.org', ports: [], hosts: [] },
    ]
    await world.start('outside', upstream)
    await world.startFile(
      'host',
      join(import.meta.dirname, 'testing/dns-server.ts'),
      JSON.stringify({ endpoints, services, upstream: '192.0.2.2', address: dns }),
    )
  })
  afterAll(async () => {
    await world[Symbol.asyncDispose]()
  })

  /** What Node's resolver (c-ares: UDP, then TCP) says in a pod. */
  async function ask(pod: string, name: string, type = 'A'): Promise<unknown> {
    const script = `
      const resolver = new (require('node:dns').promises.Resolver)({ timeout: 4000, tries: 1 })
      resolver.setServers(['${dns}'])
      resolver.resolve('${name}', '${type}').then((a) => console.log(JSON.stringify(a)), (e) => console.log(JSON.stringify(e.code)))`
    return JSON.parse(await world.output(pod, process.execPath, '-e', script))
  }

  it('gives containers of the asker’s network by name and alias', async () => {
    expect(await ask('a', 'b')).toEqual(['10.210.0.3'])
    expect(await ask('a', 'B-ALIAS')).toEqual(['10.210.0.3'])
    expect(await ask('a', 'b', 'AAAA')).toBe('ENODATA')
    expect(await ask('a', 'c')).toBe('ENOTFOUND')
    expect(await ask('c', 'c')).toEqual(['10.210.128.2'])
  })

  it('gives services, their ports and the names of addresses', async () => {
    expect(await ask('a', 'web.default.svc.cluster.local')).toEqual(['10.211.0.10'])
    expect(await ask('a', 'web.default')).toEqual(['10.211.0.10'])
    expect(await ask('a', '_http._tcp.web.default.svc.cluster.local', 'SRV')).toMatchObject([{ port: 80 }])
    expect(await ask('a', '10.0.211.10.in-addr.arpa', 'PTR')).toEqual(['web.default.svc.cluster.local'])
    expect(await ask('a', 'nobody.default.svc.cluster.local')).toBe('ENOTFOUND')
    expect(await ask('a', 'web.default.svc.cluster.local', 'MX')).toBe('ENODATA')
  })

  it('goes to TCP where a packet is too small', async () => {
    const answers = (await ask('a', 'many.default.svc.cluster.local')) as string[]
    expect(answers).toHaveLength(90)
  })

  it('asks upstream for the rest, past a server that is dead', async () => {
    expect(await ask('a', 'example.org')).toEqual(['192.0.2.80'])
    expect(await ask('c', 'nothing.example.org')).toBe('ENOTFOUND')
    expect(await ask('a', 'ext.default.svc.cluster.local', 'CNAME')).toEqual(['example.org'])
    expect(await ask('a', 'ext.default.svc.cluster.local')).toEqual(['192.0.2.80'])
  })

  it('lives through packets that are none', async () => {
    const junk = `
      const socket = require('node:dgram').createSocket('udp4')
      const sent = []
      for (let n = 0; n < 300; n++) {
        const bytes = require('node:crypto').randomBytes(n % 60)
        if (bytes.length > 2) bytes[2] &= 0x7f
        sent.push(new Promise((done) => socket.send(bytes, 53, '${dns}', done)))
      }
      Promise.all(sent).then(() => setTimeout(() => process.exit(), 200))`
    await world.output('a', process.execPath, '-e', junk)
    expect(await ask('a', 'b')).toEqual(['10.210.0.3'])
  })
})
