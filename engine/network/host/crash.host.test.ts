import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Collection } from '../../store/collection.ts'
import type { Kernel } from './kernel.ts'
import { World } from './testing/world.ts'

/** Kernel and records that are out of reach after so many requests, as after SIGKILL: nothing more, not even an undo. */
function dyingAfter(requests: number, { relay: kernel, records, leases }: World) {
  let left = requests
  const die = () => Promise.reject(new Error('killed'))
  const dying = <T>(collection: Collection<T>): Collection<T> => ({
    get: (key) => collection.get(key),
    entries: () => collection.entries(),
    write: (change) => (left >= 0 ? collection.write(change) : die()),
  })
  return {
    died: () => left < 0,
    records: dying(records),
    leases: dying(leases),
    kernel: {
      netlink: (...given) => (left-- > 0 ? kernel.netlink(...given) : die()),
      subscribe: (...given) => (left-- > 0 ? kernel.subscribe(...given) : die()),
      sysctl: (...given) => (left-- > 0 ? kernel.sysctl(...given) : die()),
    } satisfies Kernel,
  }
}

describe('networks after a kill', () => {
  let world: World
  beforeAll(async () => {
    world = await World.open()
    // A daemon that has died does not watch.
    await world.networks.close()
    await world.pin('p')
    await world.pin('q')
  })
  afterAll(async () => {
    await world[Symbol.asyncDispose]()
  })

  const mine = () =>
    (world.json('host', 'ip', '-j', 'link') as { ifname: string }[])
      .map((link) => link.ifname)
      .filter((name) => /^b[vn]/.test(name))
  const attach = (name: string, network: string) => ({
    sandboxId: name,
    netns: world.path(name),
    interfaceName: network === 'bridge' ? 'eth0' : 'eth1',
    hostname: name,
    aliases: [],
  })

  it('is whole or nothing, whatever request of a start from nothing was the last', async () => {
    let steps = 0
    for (let died = true; died; steps++) {
      const dying = dyingAfter(steps, world)
      try {
        const networks = await world.openNetworks(dying)
        await networks.create('back')
        await networks.attach('bridge', attach('p', 'bridge'))
        await networks.attach('back', attach('p', 'back'))
        await networks.publish('p', [
          { hostIp: '', hostPort: 8080, containerPort: 80, protocol: 'tcp', address: '10.210.0.2' },
        ])
      } catch {}
      died = dying.died()
      world.networks = await world.openNetworks()
      await world.networks.reconcile(new Set(['p', 'q']))
      await world.networks.settled()
      const leases = [...world.leases.entries()].map(([, lease]) => lease)
      const bridges = world.networks.list().filter((record) => record.name === 'back')
      expect(mine().sort(), `step ${steps}`).toEqual(
        [...leases.map((lease) => lease.link), ...bridges.map((record) => record.bridge)].sort(),
      )
      for (const lease of leases) expect(world.ip('p', 'addr')).toContain(`${lease.address}/`)
      await world.networks.reconcile(new Set())
      await world.networks.remove('back')
      await world.networks.close({ remove: true })
      world.records.write({ remove: ['bridge'] })
      expect(mine()).toEqual([])
      expect([...world.leases.entries()]).toEqual([])
      expect(world.run('host', 'nft', 'list', 'ruleset')).not.toContain('berth')
    }
    expect(steps).toBeGreaterThan(20)
    world.networks = await world.openNetworks()
  })

  it('finishes a removal that was cut off', async () => {
    for (let steps = 0, died = true; died; steps++) {
      await world.networks.create('back')
      await world.networks.attach('back', attach('q', 'back'))
      const dying = dyingAfter(steps, world)
      const before = world.networks
      try {
        const networks = await world.openNetworks(dying)
        await networks.reconcile(new Set())
        await networks.settled()
        await networks.remove('back')
      } catch {}
      died = dying.died()
      await before.close()
      world.networks = await world.openNetworks()
      await world.networks.reconcile(new Set())
      await world.networks.settled()
      await world.networks.remove('back')
      expect(mine(), `step ${steps}`).toEqual([])
    }
  })
})
