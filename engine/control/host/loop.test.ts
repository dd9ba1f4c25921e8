import { describe, expect, it } from 'vitest'
import { BerthError } from '../../base/error.ts'
import { systemClock } from '../../base/host/clock.ts'
import type { KubeObject } from '../../object/meta.ts'
import type { Pod } from '../../object/types.generated.ts'
import { replicaSetController } from '../replicaset.ts'
import { ObjectIndex } from '../view.ts'
import { ControlLoop, type EventWrite, type ObjectWrite, type Writer } from './loop.ts'
import { KeyQueue } from './queue.ts'

const set: KubeObject = {
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  metadata: { name: 'web', namespace: 'shop', uid: 'u', resourceVersion: '1' },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } } },
  },
}

/** A store whose view follows late, and that refuses some writes. */
class SlowWriter implements Writer {
  readonly view = new ObjectIndex()
  readonly writes: ObjectWrite[] = []
  readonly events: EventWrite[] = []
  loop: ControlLoop | undefined
  #version = 1
  readonly #fail: (write: ObjectWrite, count: number) => Error | undefined

  constructor(fail: (write: ObjectWrite, count: number) => Error | undefined = () => undefined) {
    this.#fail = fail
  }

  async write(write: ObjectWrite): Promise<KubeObject | undefined> {
    const error = this.#fail(write, this.writes.length)
    if (error) throw error
    this.writes.push(write)
    if (write.verb === 'delete') return undefined
    const version = ++this.#version
    const { metadata } = write.object
    const name = metadata.name ?? `${metadata.generateName}${version}`
    const uid = metadata.uid ?? `u${version}`
    const object = { ...write.object, metadata: { ...metadata, name, uid, resourceVersion: String(version) } }
    setTimeout(() => {
      this.view.put(object)
      this.loop?.notice(object)
    }, 20)
    return object
  }

  record(event: EventWrite): void {
    this.events.push(event)
  }
}

async function run(writer: SlowWriter, until: () => boolean): Promise<string[]> {
  const lines: string[] = []
  const abort = new AbortController()
  const options = {
    controllers: [replicaSetController],
    view: writer.view,
    writer,
    clock: systemClock,
    signal: abort.signal,
  }
  await using loop = new ControlLoop({ ...options, log: (_, message) => lines.push(message) })
  writer.loop = loop
  writer.view.put(set)
  loop.notice(set)
  for (let i = 0; i < 200 && !(until() && loop.idle); i++)
    await new Promise((resolve) => setTimeout(resolve, 10))
  abort.abort()
  return lines
}

const created = (writer: SlowWriter) => writer.writes.filter((write) => write.verb === 'create')
const reported = (writer: SlowWriter) => writer.view.get('ReplicaSet', 'shop', 'web')?.status?.replicas === 3

describe('the control loop', () => {
  it('never makes too many pods over a view that follows late', async () => {
    const writer = new SlowWriter()
    expect(await run(writer, () => reported(writer))).toEqual([])
    expect(created(writer)).toHaveLength(3)
    expect(writer.events.map((event) => `${event.reason} ${event.message}`)).toContainEqual(
      expect.stringMatching(/^SuccessfulCreate Created pod: web-\d+$/),
    )
  })

  it('goes on after a conflict and after an error, which it logs and tells', async () => {
    let failures = 0
    const writer = new SlowWriter((_, count) => {
      if (count !== 1 || failures === 2) return undefined
      failures++
      return failures === 1
        ? new BerthError('CONFLICT', 'other version')
        : new BerthError('NO_SPACE', 'The disk is full')
    })
    const lines = await run(writer, () => reported(writer))
    expect(lines).toEqual(['replicaset-controller: ReplicaSet/shop/web: The disk is full'])
    expect(created(writer)).toHaveLength(3)
    expect(writer.events).toContainEqual(
      expect.objectContaining({ reason: 'FailedCreate', message: 'Error: The disk is full' }),
    )
  })

  it('comes back at the time that a decision names', async () => {
    const writer = new SlowWriter()
    const time = new Date(Math.floor(Date.now() / 1000) * 1000 - 1000).toISOString()
    const pods = ['a', 'b', 'c'].map((name) => ({
      apiVersion: 'v1' as const,
      kind: 'Pod' as const,
      metadata: { name, namespace: 'shop', uid: name, labels: { app: 'web' }, ownerReferences: [owner()] },
      spec: { containers: [] },
      status: { conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: time }] },
    })) satisfies Pod[]
    for (const pod of pods) writer.view.put(pod)
    Object.assign(set.spec as object, { minReadySeconds: 2 })
    await run(writer, () => writer.view.get('ReplicaSet', 'shop', 'web')?.status?.availableReplicas === 3)
    expect(writer.writes.map((write) => write.verb)).toEqual(['update', 'update'])
  })
})

function owner() {
  return { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'u', controller: true }
}

describe('the queue', () => {
  it('hands out a key once at a time, and again if it came in between', () => {
    const queue = new KeyQueue()
    queue.add('a')
    queue.add('a')
    expect([queue.take(0), queue.take(0)]).toEqual(['a', undefined])
    queue.add('a')
    expect(queue.take(0)).toBeUndefined()
    queue.done('a', 'good')
    expect(queue.take(0)).toBe('a')
    expect(queue.idle).toBe(false)
    queue.done('a', 'good')
    expect(queue.idle).toBe(true)
  })

  it('waits longer after each failure, and not after a success', () => {
    const queue = new KeyQueue()
    const fail = () => {
      queue.take(1e9)
      queue.done('a', 'failed')
      queue.addFailed('a', 0)
      return queue.nextTime
    }
    expect([fail(), fail(), fail()]).toEqual([5, 10, 20])
    for (let i = 0; i < 20; i++) fail()
    expect(queue.nextTime).toBe(60_000)
    queue.take(1e9)
    queue.done('a', 'good')
    expect(fail()).toBe(5)
  })
})
