import { describe, expect, it } from 'vitest'
import { MemoryCollection } from '../../store/collection.ts'
import { NameTable } from '../names.ts'
import type { Lease, NetworkRecord } from '../types.ts'
import { Endpoints } from './endpoints.ts'

const record = {
  id: 'id',
  name: 'bridge',
  bridge: 'berth0',
  subnet: '10.210.0.0/17',
  gateway: '10.210.0.1',
} as NetworkRecord

/** Links as the kernel has them, where a removal takes as long as the test wants. */
class SlowLinks {
  readonly present = new Set<string>()
  readonly waiting: (() => void)[] = []

  list = async () => [...this.present].map((name) => ({ name, master: 1, index: 2, mac: '' }) as never)
  connect = async ({ link }: { link: string }) => void this.present.add(link)
  remove = async (name: string) => {
    await new Promise<void>((resolve) => this.waiting.push(resolve))
    this.present.delete(name)
  }

  /** The kernel comes to the oldest removal. */
  async finishOne(): Promise<void> {
    this.waiting.shift()?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function setUp() {
  const links = new SlowLinks()
  const leases = new MemoryCollection<Lease>()
  const endpoints = new Endpoints({
    links,
    bridges: { get: () => record, indexOf: () => 1, owns: () => true },
    leases,
    names: new NameTable('cluster.local'),
    dnsAddress: '10.210.0.1',
    log: () => {},
    apply: async () => {},
    closed: async () => {},
  })
  const attach = () =>
    endpoints.attach(record, {
      sandboxId: 'a',
      netns: '/run/a',
      interfaceName: 'eth0',
      hostname: 'a',
      aliases: [],
    })
  return { links, endpoints, attach }
}

describe('a link that goes while it is asked for again', () => {
  it('is there at the end, however often its removal was begun', async () => {
    const { links, endpoints, attach } = setUp()
    const { endpointId } = await attach()
    await endpoints.detach(endpointId)
    // It is still there, and no lease names it.
    await endpoints.reconcile(new Set())
    await links.finishOne()
    const again = attach()
    const settled = endpoints.settled()
    while (links.waiting.length > 0) await links.finishOne()
    await Promise.all([again, settled])
    expect(links.present.size).toBe(1)
  })

  it('is gone when it was detached while it waited to be made', async () => {
    const { links, endpoints, attach } = setUp()
    const { endpointId } = await attach()
    await endpoints.detach(endpointId)
    const again = attach()
    await endpoints.detach(endpointId)
    while (links.waiting.length > 0) await links.finishOne()
    await again
    await endpoints.settled()
    expect(links.present.size).toBe(0)
  })
})
