import { chmod, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { committedSequence, netlinkNetfilter, nftablesGroup } from '../netlink/nftables.ts'
import { splitMessages } from '../netlink/wire.ts'
import type { Kernel } from './kernel.ts'
import { launcher, World } from './testing/world.ts'

describe('the firewall in a PID namespace', () => {
  let world: World
  beforeAll(async () => {
    world = await World.open()
    await world.networks.close({ remove: true })
    await world.relay[Symbol.asyncDispose]()
    const program = world.path('relay-in-namespace')
    await writeFile(program, `#!/bin/sh\nexec unshare --pid --fork ${launcher} "$@"\n`)
    await chmod(program, 0o755)
    world.relay = await world.openRelay(program)
  })
  afterAll(async () => {
    await world[Symbol.asyncDispose]()
  })

  it('knows its own changes from those of others', async () => {
    let asked = 0
    const { relay } = world
    const kernel: Kernel = {
      netlink: (protocol, ...given) => {
        if (protocol === netlinkNetfilter) asked++
        return relay.netlink(protocol, ...given)
      },
      subscribe: (...given) => relay.subscribe(...given),
      sysctl: (...given) => relay.sysctl(...given),
    }
    world.networks = await world.openNetworks({ kernel })
    let commits = 0
    await relay.subscribe(netlinkNetfilter, nftablesGroup, (event = new Uint8Array()) => {
      commits += splitMessages(event).filter((one) => committedSequence(one) !== undefined).length
    })
    await world.pod('a')
    await world.pod('b')
    await expect.poll(() => commits, { timeout: 10_000 }).toBeGreaterThan(0)
    const before = asked
    await sleep(200)
    expect(asked).toBe(before)
    world.run('host', 'nft', 'delete', 'table', 'ip', 'berth-ab12cd')
    await expect
      .poll(() => world.run('host', 'nft', 'list', 'tables'), { timeout: 10_000 })
      .toContain('berth')
    expect(asked).toBeGreaterThan(before)
  })
})
