import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../verify.ts'
import { ContentStore } from './content-store.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-content-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

/** `crash` gives the store that a new process would see: the same files, no memory. */
function contract(name: string, crash: (store: ContentStore) => Promise<ContentStore>) {
  describe(name, () => {
    const content = Buffer.from('content of a blob')
    for (const algorithm of ['sha256', 'sha512'] as const) {
      it(`gives back what was committed (${algorithm})`, async () => {
        let store = await ContentStore.open(folder)
        const digest = digestOf(content, algorithm)
        const first = await store.ingest('one')
        await first.write(content.subarray(0, 4))
        await first[Symbol.asyncDispose]()
        store = await crash(store)
        expect(await store.size(digest)).toBeUndefined()
        const second = await store.ingest('one')
        expect(second.offset).toBe(4)
        await second.write(content.subarray(4))
        await second.commit({ digest, sizeBytes: content.length })
        store = await crash(store)
        expect(await store.size(digest)).toBe(content.length)
        expect(await buffer(await store.read({ digest }))).toEqual(content)
        expect(await buffer(await store.readRange(digest, { start: 2, end: 5 }))).toEqual(
          content.subarray(2, 6),
        )
        expect(await store.readBytes({ digest }, 100)).toEqual(content)
        await expect(store.readBytes({ digest }, 3)).rejects.toMatchObject({ code: 'INVALID' })
        expect((await all(store.list())).map((blob) => blob.digest)).toEqual([digest])
        expect(await all(store.listIngests())).toEqual([])
        await store.remove(digest)
        await store.remove(digest)
        store = await crash(store)
        await expect(store.read({ digest })).rejects.toMatchObject({ code: 'NOT_FOUND' })
      })
    }

    it('keeps no bytes that are not what was promised', async () => {
      let store = await ContentStore.open(folder)
      for (const promised of [
        { digest: digestOf('other') },
        { digest: digestOf(content), sizeBytes: 3 },
        { digest: digestOf('other', 'sha512') },
      ]) {
        const ingest = await store.ingest('bad')
        await ingest.write(content)
        await expect(ingest.commit(promised)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
        store = await crash(store)
        expect((await readdir(join(folder, 'ingest'))).length).toBe(0)
        expect(await all(store.list())).toEqual([])
      }
    })

    it('starts an ingest again', async () => {
      const store = await crash(await ContentStore.open(folder))
      const ingest = await store.ingest('again')
      await ingest.write(Buffer.from('wrong'))
      await ingest.restart()
      await ingest.write(content)
      await ingest.commit({ digest: digestOf(content) })
      expect(await store.size(digestOf(content))).toBe(content.length)
    })
  })
}

contract('content store, one process', async (store) => store)
contract('content store, opened anew after every step', () => ContentStore.open(folder))

describe('content store', () => {
  it('lets one writer have a key', async () => {
    const store = await ContentStore.open(folder)
    const first = await store.ingest('key')
    await expect(store.ingest('key')).rejects.toMatchObject({ code: 'CONFLICT' })
    await first.discard()
    await (await store.ingest('key')).discard()
    await expect(store.ingest('../x')).rejects.toMatchObject({ code: 'INVALID' })
  })

  it('tells a blob that was damaged on disk', async () => {
    const store = await ContentStore.open(folder)
    const digest = digestOf('abc')
    await store.put(Buffer.from('abc'), { digest })
    await store.put(Buffer.from('abc'), { digest })
    await writeFile(join(folder, 'blobs/sha256', digest.slice(7)), 'abd')
    await expect(buffer(await store.read({ digest }))).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    await expect(store.read({ digest, sizeBytes: 4 })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
  })
})
