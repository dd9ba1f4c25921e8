import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Collection, MemoryCollection } from './collection.ts'
import { Store } from './store.ts'

interface Case {
  readonly name: string
  open(): Promise<{ collection: Collection<{ n: number }>; [Symbol.asyncDispose](): Promise<void> }>
}

let folder = ''
let count = 0
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-collection-'))
})
afterAll(() => rm(folder, { recursive: true }))

const cases: Case[] = [
  {
    name: 'MemoryCollection',
    open: async () => ({ collection: new MemoryCollection(), [Symbol.asyncDispose]: async () => undefined }),
  },
  {
    name: 'Store.collection',
    open: async () => {
      const store = await Store.open({
        folder: join(folder, String(count++)),
        log: () => undefined,
        onFatal: (error) => {
          throw error
        },
      })
      return { collection: store.collection('things'), [Symbol.asyncDispose]: () => store.close() }
    },
  },
]

describe.each(cases)('a collection: $name', ({ open }) => {
  it('shows a write at once', async () => {
    await using opened = await open()
    const { collection } = opened
    const done = collection.write({ put: { a: { n: 1 }, b: { n: 2 } } })
    expect(collection.get('a')).toEqual({ n: 1 })
    expect([...collection.entries()].map(([key]) => key).sort()).toEqual(['a', 'b'])
    await done
  })

  it('settles in the order of the writes', async () => {
    await using opened = await open()
    const { collection } = opened
    const order: number[] = []
    const writes = [1, 2, 3, 4, 5].map((n) =>
      collection.write({ put: { a: { n } } }).then(() => {
        order.push(n)
      }),
    )
    await Promise.all(writes)
    expect(order).toEqual([1, 2, 3, 4, 5])
    expect(collection.get('a')).toEqual({ n: 5 })
  })

  it('removes, puts in the same change what it also removes, and removes what is not there', async () => {
    await using opened = await open()
    const { collection } = opened
    await collection.write({ put: { a: { n: 1 } } })
    await collection.write({ remove: ['a', 'nothing'], put: { a: { n: 2 } } })
    expect(collection.get('a')).toEqual({ n: 2 })
    await collection.write({ remove: ['a'] })
    expect(collection.get('a')).toBeUndefined()
    expect([...collection.entries()]).toEqual([])
  })
})

describe('a durable collection', () => {
  it('is there again after it was closed, and only what was not removed', async () => {
    const at = { folder: join(folder, 'again'), log: () => undefined, onFatal: () => undefined }
    {
      await using store = await Store.open(at)
      await store.collection('a').write({ put: { x: 1, y: { deep: ['z'] }, __proto__x: 2 } })
      await store.collection('b').write({ put: { x: 'other' } })
      await store.collection('a').write({ remove: ['x'] })
    }
    await using store = await Store.open(at)
    expect(Object.fromEntries(store.collection('a').entries())).toEqual({
      y: { deep: ['z'] },
      __proto__x: 2,
    })
    expect(store.collection('b').get('x')).toBe('other')
    expect(store.collection('a')).toBe(store.collection('a'))
  })
})
