import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { World } from './testing/world.ts'

const vip = '10.211.0.10'

describe('networks', () => {
  let world: World
  beforeAll(async () => {
    world = await World.open()
    await world.serve('outside', 8000)
  })
  afterAll(async () => {
    await world[Symbol.asyncDispose]()
  })

  it('connects two pods through the bridge, one link each', async () => {
    const [a, b] = [await world.pod('a'), await world.pod('b')]
    expect([a, b]).toEqual(['10.210.0.2', '10.210.0.3'])
    await Promise.all([world.serve('a', 80), world.serve('b', 80)])
    expect(await world.ask('a', b, 80)).toBe(`b ${a}`)
    const ports = world.json('host', 'ip', '-j', 'link', 'show', 'master', 'berth0-ab12cd') as {
      ifname: string
    }[]
    expect(ports.map((port) => port.ifname).sort()).toEqual(
      world.networks
        .inspect('bridge')
        .endpoints.map((lease) => lease.link)
        .sort(),
    )
    expect(world.json('a', 'ip', '-j', 'route')).toMatchObject([
      { dst: 'default', gateway: '10.210.0.1', dev: 'eth0' },
      { dst: '10.210.0.0/17', dev: 'eth0' },
    ])
  })

  it('gives the same endpoint for a second attach, and a link back that was lost', async () => {
    const a = '10.210.0.2'
    expect(await world.pod('a')).toBe(a)
    const link = world.networks.inspect('bridge').endpoints.find((lease) => lease.address === a)?.link ?? ''
    world.ip('host', 'link', 'del', link)
    await world.networks.reconcile(new Set(['a', 'b']))
    expect(await world.ask('b', a, 80)).toBe('a 10.210.0.3')
  })

  it('hides pods behind the host, and keeps the outside from pods', async () => {
    expect(await world.ask('a', '192.0.2.2', 8000)).toBe('outside 192.0.2.1')
    world.ip('outside', 'route', 'add', '10.210.0.0/16', 'via', '192.0.2.1')
    expect(await world.ask('outside', '10.210.0.2', 80, 500)).toBe('timeout')
    expect(await world.ask('host', '10.210.0.2', 80)).toBe('a 10.210.0.1')
  })

  it('publishes ports: from outside, from the host, from containers, from the container itself', async () => {
    const [port, local] = await world.networks.publish('a', [
      { hostIp: '', hostPort: 8080, containerPort: 80, protocol: 'tcp', address: '10.210.0.2' },
      { hostIp: '127.0.0.1', hostPort: 0, containerPort: 80, protocol: 'tcp', address: '10.210.0.2' },
      { hostIp: '0.0.0.0', hostPort: 8080, containerPort: 80, protocol: 'udp', address: '10.210.0.2' },
    ])
    expect(port?.hostPort).toBe(8080)
    expect(await world.ask('outside', '192.0.2.1', 8080)).toBe('a 192.0.2.2')
    expect(await world.ask('host', '127.0.0.1', 8080)).toBe('a 10.210.0.1')
    expect(await world.ask('host', '192.0.2.1', 8080)).toMatch(/^a /)
    expect(await world.ask('b', '192.0.2.1', 8080)).toBe('a 10.210.0.3')
    expect(await world.ask('b', '10.210.0.1', 8080)).toBe('a 10.210.0.3')
    expect(await world.ask('a', '192.0.2.1', 8080)).toMatch(/^a /)
    expect(await world.askUdp('outside', '192.0.2.1', 8080)).toBe('a 192.0.2.2')
    expect(await world.ask('host', '127.0.0.1', local?.hostPort ?? 0)).toBe('a 10.210.0.1')
    expect(await world.ask('outside', '192.0.2.1', local?.hostPort ?? 0)).toBe('ECONNREFUSED')
    await expect(
      world.networks.publish('b', [
        { hostIp: '192.0.2.1', hostPort: 8080, containerPort: 80, protocol: 'tcp', address: '10.210.0.3' },
      ]),
    ).rejects.toMatchObject({ code: 'CONFLICT' })
  })

  it('drops packets to loopback that come from elsewhere', async () => {
    await world.serve('host', 9000, '127.0.0.1')
    expect(await world.ask('host', '127.0.0.1', 9000)).toBe('host 127.0.0.1')
    world.ip('b', 'route', 'add', '127.0.0.0/8', 'via', '10.210.0.1', 'table', '99')
    world.ip('b', 'rule', 'add', 'to', '127.0.0.1', 'table', '99', 'pref', '1')
    world.ip('b', 'rule', 'del', 'pref', '0')
    expect(await world.ask('b', '127.0.0.1', 9000, 500)).not.toMatch(/^host/)
    world.ip('b', 'rule', 'add', 'pref', '0', 'lookup', 'local')
    world.ip('b', 'rule', 'del', 'pref', '1')
  })

  it('answers a service: from the host, a neighbour, and the pod itself', async () => {
    const service = { address: vip, port: 80, protocol: 'tcp' as const, hostPort: 30080 }
    await world.networks.setServices([
      { ...service, endpoints: [{ address: '10.210.0.2', port: 80 }] },
      { ...service, protocol: 'udp', endpoints: [{ address: '10.210.0.2', port: 80 }] },
    ])
    const named = { ...service, name: 'shop/web', endpoints: [] }
    await world.networks.setServices([named])
    await expect(
      world.networks.checkPorts([{ hostIp: '', hostPort: 30080, protocol: 'tcp' }]),
    ).rejects.toThrow('service "shop/web" has it')
    await world.networks.setServices([
      { ...service, endpoints: [{ address: '10.210.0.2', port: 80 }] },
      { ...service, protocol: 'udp', endpoints: [{ address: '10.210.0.2', port: 80 }] },
    ])
    expect(await world.ask('host', vip, 80)).toBe('a 10.210.0.1')
    expect(await world.ask('b', vip, 80)).toBe('a 10.210.0.3')
    expect(await world.ask('a', vip, 80)).toBe('a 10.210.0.1')
    expect(await world.askUdp('b', vip, 80)).toBe('a 10.210.0.3')
    expect(await world.ask('outside', '192.0.2.1', 30080)).toBe('a 192.0.2.2')
    expect(await world.ask('host', '127.0.0.1', 30080)).toBe('a 10.210.0.1')
    await world.networks.setServices([
      { ...service, endpoints: ['10.210.0.2', '10.210.0.3'].map((address) => ({ address, port: 80 })) },
    ])
    const answers = await Promise.all(Array.from({ length: 16 }, () => world.ask('host', vip, 80)))
    expect(new Set(answers.map((answer) => answer.slice(0, 1)))).toEqual(new Set(['a', 'b']))
  })

  it('keeps connections to an endpoint that drains, and sends new ones elsewhere', async () => {
    const service = { address: vip, port: 80, protocol: 'tcp' as const }
    await world.networks.setServices([{ ...service, endpoints: [{ address: '10.210.0.2', port: 80 }] }])
    const script = `
      const socket = require('node:net').connect(80, '${vip}', () => socket.write('one'))
      socket.on('data', (data) => console.log(String(data).trim())).on('close', () => console.log('closed'))
      process.stdin.on('data', () => socket.write('again'))`
    const client = await world.start('host', script)
    await world.networks.setServices([{ ...service, endpoints: [{ address: '10.210.0.3', port: 80 }] }])
    expect(await world.ask('host', vip, 80)).toMatch(/^b /)
    const answer = new Promise((resolve) =>
      client.stdout?.once('data', (data) => resolve(String(data).trim())),
    )
    client.stdin?.write('go')
    expect(await answer).toBe('a 10.210.0.1')
  })

  it('sends a UDP client that goes on from one port to an endpoint that is left', async () => {
    const service = { address: vip, port: 80, protocol: 'udp' as const, hostPort: 30081 }
    const to = (address: string) =>
      world.networks.setServices([{ ...service, endpoints: [{ address, port: 80 }] }])
    await to('10.210.0.2')
    for (const [address, port] of [
      [vip, 80],
      ['192.0.2.1', 30081],
    ] as const) {
      await to('10.210.0.2')
      const script = `
        const socket = require('node:dgram').createSocket('udp4')
        socket.on('message', (data) => console.log(String(data)))
        socket.connect(${port}, '${address}', () => socket.send('one'))
        process.stdin.on('data', () => socket.send('again'))`
      const client = await world.start(address === vip ? 'host' : 'outside', script)
      await to('10.210.0.3')
      await world.networks.settled()
      const answer = new Promise((resolve) =>
        client.stdout?.once('data', (data) => resolve(String(data).trim())),
      )
      client.stdin?.write('go')
      expect(await answer).toMatch(/^b /)
    }
  })

  it('refuses a service without endpoints, an unknown port and an unknown address', async () => {
    await world.networks.setServices([{ address: vip, port: 80, protocol: 'tcp', endpoints: [] }])
    expect(await world.ask('host', vip, 80)).toBe('ECONNREFUSED')
    expect(await world.ask('a', vip, 80)).toBe('ECONNREFUSED')
    expect(await world.ask('a', vip, 81)).toBe('ECONNREFUSED')
    expect(await world.ask('a', '10.211.9.9', 81)).toBe('ECONNREFUSED')
    expect(await world.askUdp('a', vip, 53)).toBe('ECONNREFUSED')
  })

  it('keeps networks apart, and an internal one inside', async () => {
    await world.networks.create('front')
    await world.networks.create('closed', { internal: true })
    const c = await world.pod('c', 'front')
    await world.serve('c', 80)
    expect(c).toBe('10.210.128.2')
    expect(await world.ask('a', c, 80, 500)).toBe('timeout')
    expect(await world.ask('c', '192.0.2.2', 8000)).toBe('outside 192.0.2.1')
    const [d, e] = [await world.pod('d', 'closed'), await world.pod('e', 'closed')]
    await world.serve('d', 80)
    expect(await world.ask('e', d, 80)).toBe(`d ${e}`)
    expect(await world.ask('e', '192.0.2.2', 8000, 500)).toBe('ENETUNREACH')
    expect(await world.ask('host', d, 80)).toMatch(/^d /)
    expect(await world.pod('c', 'closed', 'eth1')).toBe('10.210.129.4')
    expect(await world.ask('c', d, 80)).toBe('d 10.210.129.4')
    await expect(world.networks.remove('front')).rejects.toMatchObject({ code: 'CONFLICT' })
    await expect(world.networks.create('x', { subnet: '192.0.2.0/25' })).rejects.toMatchObject({
      code: 'CONFLICT',
    })
  })

  it('passes a FORWARD chain that drops, also when it comes again, and gives it back', async () => {
    world.run('host', 'iptables', '-P', 'FORWARD', 'DROP')
    world.run('host', 'iptables', '-N', 'DOCKER-USER')
    await world.networks.reconcile(new Set(['a', 'b', 'c', 'd', 'e']))
    expect(await world.ask('a', '192.0.2.2', 8000)).toBe('outside 192.0.2.1')
    expect(await world.ask('outside', '192.0.2.1', 8080)).toBe('a 192.0.2.2')
    world.run('host', 'iptables', '-F', 'FORWARD')
    world.run('host', 'iptables', '-A', 'FORWARD', '-j', 'REJECT')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(await world.ask('a', '192.0.2.2', 8000)).toBe('outside 192.0.2.1')
    expect(world.run('host', 'iptables', '-S', 'FORWARD')).toMatch(/-A FORWARD -i berth0-ab12cd .*-j ACCEPT/)
    world.run('host', 'nft', 'delete', 'table', 'ip', 'berth-ab12cd')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(await world.ask('a', '192.0.2.2', 8000)).toBe('outside 192.0.2.1')
  })

  it('lets containers ask DNS where input is dropped, and nothing else in', async () => {
    await world.serve('host', 53, '10.210.0.1')
    await world.serve('host', 54, '10.210.0.1')
    world.run('host', 'iptables', '-P', 'INPUT', 'DROP')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(await world.ask('a', '10.210.0.1', 53)).toBe('host 10.210.0.2')
    expect(await world.askUdp('c', '10.210.0.1', 53)).toMatch(/^host 10\.210\.12/)
    expect(await world.ask('a', '10.210.0.1', 54, 400)).toBe('timeout')
    expect(world.run('host', 'iptables', '-S', 'INPUT')).toContain(
      '-A INPUT -d 10.210.0.1/32 -i berth0-ab12cd -p tcp -m tcp --dport 53',
    )
    world.run('host', 'iptables', '-P', 'INPUT', 'ACCEPT')
  })

  it('goes on after a kill: the same addresses, ports and services, nothing cut', async () => {
    await world.networks.setServices([
      { address: vip, port: 80, protocol: 'tcp', endpoints: [{ address: '10.210.0.2', port: 80 }] },
    ])
    const before = world.run('host', 'nft', '-s', 'list', 'table', 'ip', 'berth-ab12cd')
    const old = world.relay
    world.relay = await world.openRelay()
    world.networks = await world.openNetworks()
    await old[Symbol.asyncDispose]()
    expect(world.run('host', 'nft', '-s', 'list', 'table', 'ip', 'berth-ab12cd')).toBe(before)
    expect(await world.ask('b', vip, 80)).toBe('a 10.210.0.3')
    expect(await world.ask('outside', '192.0.2.1', 8080)).toBe('a 192.0.2.2')
    expect(await world.pod('a')).toBe('10.210.0.2')
    expect(await world.pod('f')).toBe('10.210.0.4')
    await world.networks.unpublish('a')
    expect(await world.ask('outside', '192.0.2.1', 8080)).toBe('ECONNREFUSED')
    expect(await world.ask('b', vip, 80)).toBe('a 10.210.0.3')
  })

  it('collects what does not live, and leaves nothing when it is removed', async () => {
    await world.networks.reconcile(new Set(['a']))
    await world.networks.settled()
    const left = world.json('host', 'ip', '-j', 'link', 'show', 'type', 'veth') as { ifname: string }[]
    expect(left.filter((link) => link.ifname.startsWith('bv'))).toHaveLength(1)
    await world.networks.remove('front')
    await world.networks[Symbol.asyncDispose]()
    expect(world.run('host', 'nft', 'list', 'tables')).toContain('berth')
    world.networks = await world.openNetworks()
    await world.networks.reconcile(new Set())
    await world.networks[Symbol.asyncDispose]()
    const links = world.json('host', 'ip', '-j', 'link') as { ifname: string }[]
    expect(links.map((link) => link.ifname).filter((name) => /^b/.test(name))).toEqual([])
    expect(world.run('host', 'nft', 'list', 'ruleset')).not.toContain('berth')
    expect(world.run('host', 'ip', 'route')).not.toContain('10.21')
  })
})
