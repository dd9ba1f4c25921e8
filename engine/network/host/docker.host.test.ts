import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { World } from './testing/world.ts'

describe('networks beside docker', () => {
  let world: World
  const daemons: ChildProcess[] = []
  beforeAll(async () => {
    world = await World.open()
    await world.serve('outside', 8000)
    await world.pod('a')
    await world.serve('a', 80)
    await world.networks.publish('a', [
      { hostIp: '', hostPort: 8080, containerPort: 80, protocol: 'tcp', address: '10.210.0.2' },
    ])
  })
  afterAll(async () => {
    for (const daemon of daemons) await stop(daemon)
    await world[Symbol.asyncDispose]()
  })

  async function start(): Promise<ChildProcess> {
    const at = (name: string) => `${world.folder}/docker/${name}`
    const daemon = spawn(
      'nsenter',
      [
        ...[`--net=${world.path('host')}`, 'unshare', '--mount', 'dockerd'],
        ...['--data-root', at('data'), '--exec-root', at('exec'), '--pidfile', at('pid')],
        ...['--host', `unix://${at('s')}`, '--storage-driver', 'vfs'],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    )
    daemons.push(daemon)
    let log = ''
    daemon.stderr.on('data', (text) => {
      log = (log + text).slice(-10_000)
    })
    for (let tries = 0; !log.includes('API listen'); tries++) {
      if (tries > 300 || daemon.exitCode !== null) throw new Error(log.slice(-2000))
      await sleep(100)
    }
    await sleep(300)
    return daemon
  }

  async function stop(daemon: ChildProcess): Promise<void> {
    if (daemon.exitCode !== null || daemon.signalCode !== null) return
    daemon.kill('SIGTERM')
    await once(daemon, 'exit')
  }

  async function expectAll(): Promise<void> {
    expect(await world.ask('a', '192.0.2.2', 8000)).toBe('outside 192.0.2.1')
    expect(await world.ask('outside', '192.0.2.1', 8080)).toBe('a 192.0.2.2')
    expect(await world.ask('host', '127.0.0.1', 8080)).toBe('a 10.210.0.1')
  }
  const forward = () => world.run('host', 'iptables', '-S', 'FORWARD')

  it('passes where docker drops, through restarts of either, and leaves docker’s rules as they were', async () => {
    /* On a host that did not forward before, docker's policy becomes DROP. */
    await world.relay.sysctl('net.ipv4.ip_forward', '0')
    const first = await start()
    expect(forward()).toContain('-P FORWARD DROP')
    await expectAll()
    await stop(first)
    await expectAll()
    await start()
    await expectAll()
    await world.networks.close()
    world.networks = await world.openNetworks()
    await expectAll()
    await world.networks.close({ remove: true })
    expect(forward()).not.toContain('berth')
    expect(forward()).toContain('DOCKER-USER')
  })
})
