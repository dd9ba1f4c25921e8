import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../base/host/clock.ts'
import { controllers } from '../../control/controllers.ts'
import { garbageController } from '../../control/garbage.ts'
import { namespaceController } from '../../control/namespace.ts'
import { kindNamed } from '../../object/kinds.ts'
import type { DraftObject, StoredObject } from '../../store/object.ts'
import { keyOf } from '../../store/object.ts'
import { ObjectStore } from '../../store/objects.ts'
import { removeObject } from '../deletion.ts'
import { Writes } from '../writes.ts'
import { runControllers } from './run.ts'

let objects: ObjectStore
let end: AbortController
let running: Promise<void>

beforeEach(async () => {
  objects = new ObjectStore()
  for (const name of ['default', 'shop']) {
    await objects.create({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name },
      spec: { finalizers: ['kubernetes'] },
    })
  }
  end = new AbortController()
  start([garbageController, namespaceController])
})
afterEach(async () => {
  end.abort()
  await running
})

const workload = {
  selector: { matchLabels: { app: 'a' } },
  template: { metadata: { labels: { app: 'a' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
}
const make = (kind: string, name: string, owners: StoredObject[] = [], more: Partial<DraftObject> = {}) =>
  objects.create({
    apiVersion: kind === 'Pod' ? 'v1' : 'apps/v1',
    kind,
    ...more,
    spec: { ...(kind === 'Pod' ? workload.template.spec : workload), ...(more.spec as object) },
    metadata: {
      name,
      namespace: 'default',
      ...(owners.length > 0 ? { ownerReferences: owners.map(reference) } : {}),
      ...more.metadata,
    },
  })
const reference = ({ apiVersion, kind, metadata: { name, uid } }: StoredObject) => ({
  apiVersion,
  kind,
  name,
  uid,
  blockOwnerDeletion: true,
})
const names = () =>
  objects
    .inNamespace('default')
    .filter((o) => o.kind !== 'ServiceAccount' && o.kind !== 'Event')
    .map((o) => `${o.kind}/${o.metadata.name}`)
const start = (chosen: typeof controllers) => {
  const writes = new Writes({ objects, clock: systemClock, serviceSubnet: '10.211.0.0/16' })
  running = runControllers(
    { objects, writes, controllers: chosen, clock: systemClock, log: () => undefined },
    end.signal,
  )
}
/** Until nothing was written for a while. */
const settle = async () => {
  for (let version = -1; version !== objects.version; ) {
    version = objects.version
    await new Promise((resolve) => setTimeout(resolve, 40))
  }
}

describe('controllers over the store', () => {
  it('removes dependents after their owner, all the way down', async () => {
    const top = await make('Deployment', 'web')
    const set = await make('ReplicaSet', 'web-1', [top])
    await make('Pod', 'web-1-a', [set], { spec: {} })
    await make('Pod', 'other', [], { spec: {} })
    await removeObject(objects, top, { propagationPolicy: 'Background' })
    await settle()
    expect(names()).toEqual(['Pod/other'])
  })

  it('waits for dependents in the foreground, and gives running pods their time', async () => {
    const top = await make('Deployment', 'web')
    const set = await make('ReplicaSet', 'web-1', [top])
    const pod = await make('Pod', 'web-1-a', [set], { spec: { nodeName: 'here' } })
    await removeObject(objects, top, { propagationPolicy: 'Foreground' })
    await settle()
    expect(names().sort()).toEqual(['Deployment/web', 'Pod/web-1-a', 'ReplicaSet/web-1'])
    expect(objects.get(keyOf(pod))?.metadata.deletionGracePeriodSeconds).toBe(30)
    await objects.delete(keyOf(pod), { graceSeconds: 0 })
    await settle()
    expect(names()).toEqual([])
  })

  it('lets orphans live', async () => {
    const top = await make('Deployment', 'web')
    const set = await make('ReplicaSet', 'web-1', [top])
    await removeObject(objects, top, { propagationPolicy: 'Orphan' })
    await settle()
    expect(names()).toEqual(['ReplicaSet/web-1'])
    expect(objects.get(keyOf(set))?.metadata.ownerReferences).toBeUndefined()
  })

  it('keeps what has another owner, without the reference to the dead one', async () => {
    const [one, two] = [await make('Deployment', 'one'), await make('Deployment', 'two')]
    const set = await make('ReplicaSet', 'set', [one, two])
    await removeObject(objects, one, {})
    await settle()
    expect(objects.get(keyOf(set))?.metadata.ownerReferences?.map((o) => o.name)).toEqual(['two'])
  })

  it('removes what was made for an owner that is gone already', async () => {
    const top = await make('Deployment', 'web')
    await removeObject(objects, top, {})
    await make('ReplicaSet', 'late', [top])
    await settle()
    expect(names()).toEqual([])
  })

  it('empties a namespace that is deleted, then removes it', async () => {
    await make('Deployment', 'web', [], { metadata: { name: 'web', namespace: 'shop' } })
    const pod = await make('Pod', 'p', [], {
      spec: { nodeName: 'x' },
      metadata: { name: 'p', namespace: 'shop' },
    })
    const shop = objects.get({ groupKind: 'Namespace', namespace: '', name: 'shop' }) as StoredObject
    const { removed, object } = await removeObject(objects, shop, {})
    expect(removed).toBe(false)
    expect(object.status).toEqual({ phase: 'Terminating' })
    await settle()
    expect(objects.inNamespace('shop').map((o) => o.kind)).toEqual(['Pod'])
    await objects.delete(keyOf(pod), { graceSeconds: 0 })
    await settle()
    expect(objects.get(keyOf(shop))).toBeUndefined()
  })

  it('finishes at its start what was left', async () => {
    end.abort()
    await running
    const top = await make('Deployment', 'web')
    await make('ReplicaSet', 'web-1', [top])
    await objects.delete(keyOf(top))
    end = new AbortController()
    start([garbageController])
    await settle()
    expect(names()).toEqual([])
  })

  it('make a Deployment into pods, and tell of it in events that are counted', async () => {
    end.abort()
    await running
    end = new AbortController()
    start(controllers)
    const labels = { app: 'web' }
    const writes = new Writes({ objects, clock: systemClock, serviceSubnet: '10.211.0.0/16' })
    const body = {
      metadata: { name: 'web' },
      spec: {
        replicas: 3,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } },
      },
    }
    await writes.create(body, { kind: kindNamed('Deployment'), namespace: 'default', manager: 'test' })
    await settle()
    expect(objects.list('Pod', 'default')).toHaveLength(3)
    expect(objects.list('ReplicaSet.apps', 'default')).toHaveLength(1)
    const reasons = objects.list('Event', 'default').map((event) => event.reason)
    expect(reasons).toContain('ScalingReplicaSet')
    expect(reasons.filter((reason) => reason === 'SuccessfulCreate')).toHaveLength(3)
    await removeObject(objects, objects.list('Deployment.apps')[0] as StoredObject, {
      propagationPolicy: 'Foreground',
    })
    await settle()
    expect(names()).toEqual([])
  })
})
