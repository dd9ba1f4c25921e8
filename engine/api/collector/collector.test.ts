import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DraftObject, StoredObject } from '../../store/object.ts'
import { keyOf } from '../../store/object.ts'
import { ObjectStore } from '../../store/objects.ts'
import { removeObject } from '../deletion.ts'
import { collectGarbage } from './collector.ts'

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
  running = collectGarbage({ objects, log: () => undefined }, end.signal)
})
afterEach(async () => {
  end.abort()
  await running
})

const make = (kind: string, name: string, owners: StoredObject[] = [], more: Partial<DraftObject> = {}) =>
  objects.create({
    apiVersion: kind === 'Pod' ? 'v1' : 'apps/v1',
    kind,
    ...more,
    metadata: {
      name,
      namespace: 'default',
      ...(owners.length > 0
        ? {
            ownerReferences: owners.map(({ apiVersion, kind: k, metadata }) => ({
              apiVersion,
              kind: k,
              name: metadata.name,
              uid: metadata.uid,
              blockOwnerDeletion: true,
            })),
          }
        : {}),
      ...more.metadata,
    },
  })
const names = () => objects.inNamespace('default').map((o) => `${o.kind}/${o.metadata.name}`)
const settle = async () => {
  for (let i = 0; i < 200; i++) await Promise.resolve()
}

describe('the garbage collector', () => {
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
    expect(objects.inNamespace('shop').map((o) => o.metadata.name)).toEqual(['p'])
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
    running = collectGarbage({ objects, log: () => undefined }, end.signal)
    await settle()
    expect(names()).toEqual([])
  })
})
