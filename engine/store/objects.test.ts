import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ChangeRecord } from './history.ts'
import type { DraftObject, ObjectKey } from './object.ts'
import { ObjectStore } from './objects.ts'
import { Store } from './store.ts'

let folder = ''
let count = 0
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-objects-'))
})
afterAll(() => rm(folder, { recursive: true }))

const quiet = { log: () => undefined, onFatal: () => undefined }
const clock = { now: () => Date.parse('2026-01-01T00:00:00.500Z') }
const namespace = (name: string): DraftObject => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
const config = (name: string, more: Record<string, unknown> = {}): DraftObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', ...(more.metadata as object) },
  data: more.data ?? {},
})
const key = (name: string, groupKind = 'ConfigMap'): ObjectKey => ({ groupKind, namespace: 'default', name })

const cases = [
  {
    name: 'in memory',
    open: async () => ({ objects: new ObjectStore({ clock }), close: async () => undefined }),
  },
  {
    name: 'in SQLite',
    open: async () => {
      const store = await Store.open({ folder: join(folder, String(count++)), clock, ...quiet })
      return { objects: store.objects, close: () => store.close() }
    },
  },
]

describe.each(cases)('objects $name', ({ open }) => {
  async function opened() {
    const { objects, close } = await open()
    await objects.create(namespace('default'))
    return { objects, [Symbol.asyncDispose]: close }
  }

  it('sets what belongs to the store', async () => {
    await using at = await opened()
    const made = await at.objects.create({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', namespace: 'default', uid: 'mine', resourceVersion: '77', generation: 4 },
      spec: { replicas: 1 },
    })
    expect(made.metadata).toMatchObject({
      creationTimestamp: '2026-01-01T00:00:00Z',
      generation: 1,
      resourceVersion: String(at.objects.version),
    })
    expect(made.metadata.uid).toMatch(/^[0-9a-f]{8}-/)
    expect(at.objects.byUid(made.metadata.uid)).toBe(made)
    expect(Object.isFrozen(made.spec)).toBe(true)
  })

  it('counts generations for changes of the spec only, and writes nothing for no change', async () => {
    await using at = await opened()
    const made = await at.objects.create({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', namespace: 'default', generation: 1 },
      spec: { replicas: 1 },
    })
    const same = await at.objects.update(structuredClone(made))
    expect(same).toBe(made)
    const labelled = await at.objects.update({ ...made, metadata: { ...made.metadata, labels: { a: 'b' } } })
    expect(labelled.metadata.generation).toBe(1)
    const scaled = await at.objects.update({ ...labelled, spec: { replicas: 2 } })
    expect(scaled.metadata.generation).toBe(2)
    const status = await at.objects.update(
      { ...scaled, spec: { replicas: 9 }, status: { replicas: 2 } },
      { part: 'status' },
    )
    expect(status).toMatchObject({
      spec: { replicas: 2 },
      status: { replicas: 2 },
      metadata: { generation: 2 },
    })
    const main = await at.objects.update(
      { ...status, spec: { replicas: 3 }, status: { replicas: 9 } },
      { part: 'main' },
    )
    expect(main).toMatchObject({ spec: { replicas: 3 }, status: { replicas: 2 } })
  })

  it('refuses a second object of the name, a stale update, another uid', async () => {
    await using at = await opened()
    const made = await at.objects.create(config('a'))
    await expect(at.objects.create(config('a'))).rejects.toMatchObject({ code: 'ALREADY_EXISTS' })
    const changed = await at.objects.update({ ...made, data: { a: '1' } })
    await expect(at.objects.update({ ...made, data: { a: '2' } })).rejects.toMatchObject({ code: 'CONFLICT' })
    await expect(at.objects.delete(key('a'), { uid: 'another' })).rejects.toMatchObject({ code: 'CONFLICT' })
    await expect(
      at.objects.delete(key('a'), { resourceVersion: made.metadata.resourceVersion }),
    ).rejects.toMatchObject({ code: 'CONFLICT' })
    await at.objects.delete(key('a'), { resourceVersion: changed.metadata.resourceVersion })
    await expect(at.objects.delete(key('a'))).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(at.objects.byUid(made.metadata.uid)).toBeUndefined()
  })

  it('needs the namespace, and one that is not being deleted', async () => {
    await using at = await opened()
    await expect(
      at.objects.create({ ...config('a'), metadata: { name: 'a', namespace: 'none' } }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND', details: { groupKind: 'Namespace', name: 'none' } })
    await at.objects.create({ ...namespace('old'), metadata: { name: 'old', finalizers: ['x'] } })
    await at.objects.delete({ groupKind: 'Namespace', namespace: '', name: 'old' })
    await expect(
      at.objects.create({ ...config('a'), metadata: { name: 'a', namespace: 'old' } }),
    ).rejects.toMatchObject({ code: 'FORBIDDEN', details: { terminating: true } })
  })

  it('keeps what has finalizers until the last goes', async () => {
    await using at = await opened()
    const made = await at.objects.create(config('a', { metadata: { finalizers: ['one', 'two'] } }))
    const { object, removed } = await at.objects.delete(key('a'))
    expect(removed).toBe(false)
    expect(object.metadata.deletionTimestamp).toBe('2026-01-01T00:00:00Z')
    await expect(
      at.objects.update({
        ...object,
        metadata: { ...object.metadata, finalizers: ['one', 'two', 'three'] },
      }),
    ).rejects.toMatchObject({ code: 'UNPROCESSABLE' })
    await at.objects.update({ ...object, metadata: { ...object.metadata, finalizers: ['one'] } })
    expect(at.objects.get(key('a'))?.metadata.uid).toBe(made.metadata.uid)
    await at.objects.change(key('a'), (current) => ({
      ...current,
      metadata: { ...current.metadata, finalizers: [] },
    }))
    expect(at.objects.get(key('a'))).toBeUndefined()
  })

  it('gives a period of grace that can only become shorter', async () => {
    await using at = await opened()
    await at.objects.create(config('a'))
    const first = await at.objects.delete(key('a'), { graceSeconds: 30 })
    expect(first.object.metadata).toMatchObject({
      deletionTimestamp: '2026-01-01T00:00:30Z',
      deletionGracePeriodSeconds: 30,
    })
    const longer = await at.objects.delete(key('a'), { graceSeconds: 60 })
    expect(longer.object.metadata.deletionGracePeriodSeconds).toBe(30)
    const shorter = await at.objects.delete(key('a'), { graceSeconds: 5 })
    expect(shorter.object.metadata).toMatchObject({
      deletionTimestamp: '2026-01-01T00:00:05Z',
      deletionGracePeriodSeconds: 5,
    })
    expect((await at.objects.delete(key('a'), { graceSeconds: 0 })).removed).toBe(true)
  })

  it('finds by owner and by namespace, lists in order', async () => {
    await using at = await opened()
    const owner = await at.objects.create(config('owner'))
    const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.metadata.uid }
    for (const name of ['c', 'a', 'b']) {
      await at.objects.create(config(name, { metadata: { ownerReferences: [reference] } }))
    }
    expect(at.objects.list('ConfigMap').map((o) => o.metadata.name)).toEqual(['a', 'b', 'c', 'owner'])
    expect(at.objects.list('ConfigMap', 'elsewhere')).toEqual([])
    expect(
      at.objects
        .byOwner(owner.metadata.uid)
        .map((o) => o.metadata.name)
        .sort(),
    ).toEqual(['a', 'b', 'c'])
    await at.objects.update({ ...config('a'), metadata: { name: 'a', namespace: 'default' } })
    await at.objects.delete(key('b'))
    expect(at.objects.byOwner(owner.metadata.uid).map((o) => o.metadata.name)).toEqual(['c'])
    expect(at.objects.inNamespace('default')).toHaveLength(3)
  })

  it('generates names', async () => {
    await using at = await opened()
    const draft = {
      ...config(''),
      metadata: { generateName: `${'x'.repeat(70)}-`, namespace: 'default' },
    }
    const made = await at.objects.create(draft)
    expect(made.metadata.name).toMatch(/^x{58}[bcdfghjklmnpqrstvwxz2456789]{5}$/)
    await expect(at.objects.create({ ...draft, metadata: { namespace: 'default' } })).rejects.toMatchObject({
      code: 'UNPROCESSABLE',
    })
  })

  it('keeps nothing of what cannot be written', async () => {
    await using at = await opened()
    let deep: unknown = 1
    for (let n = 0; n < 100_000; n++) deep = [deep]
    await expect(at.objects.create(config('deep', { data: { deep } }))).rejects.toThrow(RangeError)
    expect(at.objects.get(key('deep'))).toBeUndefined()
    await at.objects.create(config('flat'))
  })

  it('does nothing in a dry run', async () => {
    await using at = await opened()
    const before = at.objects.version
    await at.objects.create(config('dry'), { dryRun: true })
    expect(at.objects.get(key('dry'))).toBeUndefined()
    const made = await at.objects.create(config('a'))
    expect((await at.objects.update({ ...made, data: { a: 'b' } }, { dryRun: true })).data).toEqual({
      a: 'b',
    })
    await at.objects.delete(key('a'), { dryRun: true })
    expect(at.objects.get(key('a'))).toBe(made)
    expect(at.objects.version).toBe(before + 1)
  })

  it('is watched: every change after the version, once, in order, and no earlier than its commit', async () => {
    await using at = await opened()
    const { objects } = at
    const made = await objects.create(config('a'))
    const end = new AbortController()
    const seen: ChangeRecord[] = []
    const from = Number(made.metadata.resourceVersion)
    const reading = (async () => {
      for await (const change of objects.watch({ groupKind: 'ConfigMap', from }, end.signal)) {
        seen.push(change)
        if (seen.length === 3) break
      }
    })()
    const update = objects.update({ ...made, data: { a: '1' } })
    expect(seen).toEqual([])
    await Promise.all([update, objects.create(config('b')), objects.delete(key('a'))])
    await reading
    expect(seen.map((c) => [c.type, c.object.metadata.name])).toEqual([
      ['MODIFIED', 'a'],
      ['ADDED', 'b'],
      ['DELETED', 'a'],
    ])
    expect(seen[0]?.previous).toBe(made)
    expect(seen.map((c) => c.version)).toEqual([from + 1, from + 2, from + 3])
    const replay: number[] = []
    end.abort()
    for await (const change of objects.watch({ from }, end.signal)) replay.push(change.version)
    expect(replay).toEqual([from + 1, from + 2, from + 3])
  })

  it('answers GONE for a version that was never given', async () => {
    await using at = await opened()
    const never = new AbortController().signal
    expect(() => at.objects.watch({ from: 1e9 }, never)).toThrow(expect.objectContaining({ code: 'GONE' }))
  })
})

describe('the history', () => {
  it('is bounded: an old version is GONE, a slow watcher too', async () => {
    const objects = new ObjectStore({ clock, historyLimit: 8 })
    await objects.create(namespace('default'))
    const made = await objects.create(config('a'))
    const first = Number(made.metadata.resourceVersion)
    const end = new AbortController()
    const slow = objects.watch({ from: first }, end.signal)
    for (let n = 0; n < 5000; n++) await objects.update({ ...config('a'), data: { n: String(n) } })
    expect(() => objects.watch({ from: first }, end.signal)).toThrow(
      expect.objectContaining({ code: 'GONE' }),
    )
    const read = async () => {
      let last = first
      for await (const change of slow) {
        expect(change.version).toBe(last + 1)
        last = change.version
      }
    }
    await expect(read()).rejects.toMatchObject({ code: 'GONE' })
  })
})

describe('a store opened again', () => {
  it('has everything, goes on with higher versions, and lets a watcher go on only when nothing was missed', async () => {
    const at = { folder: join(folder, 'again'), clock, ...quiet }
    let last = 0
    {
      await using store = await Store.open(at)
      await store.objects.create(namespace('default'))
      await store.objects.create(config('a', { data: { a: '1' } }))
      await store.objects.create(config('b'))
      await store.objects.create({
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: 'e', namespace: 'default' },
      })
      await store.objects.delete(key('b'))
      last = store.objects.version
    }
    await using store = await Store.open(at)
    const { objects } = store
    expect(objects.list('ConfigMap').map((o) => o.data)).toEqual([{ a: '1' }])
    expect(objects.list('Event')).toHaveLength(1)
    const end = new AbortController()
    const watcher = objects.watch({ from: last }, end.signal)
    expect(() => objects.watch({ from: last - 1 }, end.signal)).toThrow(
      expect.objectContaining({ code: 'GONE' }),
    )
    const made = await objects.create(config('c'))
    expect(Number(made.metadata.resourceVersion)).toBeGreaterThan(last)
    for await (const change of watcher) {
      expect(change.object).toBe(made)
      break
    }
    expect((await stat(join(at.folder, 'berth.sqlite'))).mode & 0o777).toBe(0o600)
    expect((await stat(join(at.folder, 'events.sqlite'))).mode & 0o777).toBe(0o600)
    expect((await stat(at.folder)).mode & 0o777).toBe(0o700)
  })
})
