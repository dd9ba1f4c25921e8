import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { DraftObject, ObjectKey, StoredObject } from '../store/object.ts'
import { ObjectStore } from '../store/objects.ts'
import { watchLines } from './watch.ts'

const key = (name: string): ObjectKey => ({ groupKind: 'ConfigMap', namespace: 'default', name })
const draft = (name: string, n: number, on: boolean): DraftObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', labels: { on: String(on) } },
  data: { n: String(n) },
})
const selection = (object: StoredObject) => object.metadata.labels?.on === 'true'
const step = fc.record({
  name: fc.constantFrom('a', 'b', 'c'),
  verb: fc.constantFrom('put', 'put', 'delete'),
  on: fc.boolean(),
  awaited: fc.boolean(),
})

async function perform(
  objects: ObjectStore,
  steps: readonly { name: string; verb: string; on: boolean; awaited: boolean }[],
) {
  for (const [n, { name, verb, on, awaited }] of steps.entries()) {
    const present = objects.get(key(name))
    const done =
      verb === 'delete'
        ? present && objects.delete(key(name))
        : present
          ? objects.update(draft(name, n, on))
          : objects.create(draft(name, n, on))
    if (awaited) await done
  }
}

/** What a client makes of a watch: an object that comes twice, or goes without having come, is a mistake of the API. */
function fold(known: Map<string, StoredObject>, lines: readonly string[]): void {
  for (const line of lines) {
    const { type, object } = JSON.parse(line) as { type: string; object: StoredObject }
    const { name } = object.metadata
    if (type === 'BOOKMARK') continue
    expect(known.has(name), line).toBe(type !== 'ADDED')
    if (type === 'DELETED') known.delete(name)
    else known.set(name, object)
  }
}

describe('a watch with a selector', () => {
  it('tells exactly what turns the list of its start into the list of its end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step), fc.array(step), fc.boolean(), async (before, after, fromList) => {
        const objects = new ObjectStore()
        await objects.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } })
        await perform(objects, before)
        const known = new Map<string, StoredObject>()
        if (fromList)
          for (const o of objects.list('ConfigMap').filter(selection)) known.set(o.metadata.name, o)
        const end = new AbortController()
        const watch = watchLines(objects, {
          ...{ groupKind: 'ConfigMap', apiVersion: 'v1', kind: 'ConfigMap', namespace: '', selection },
          ...{ sendInitial: !fromList, bookmarks: false, timeoutSeconds: undefined, signal: end.signal },
          from: fromList ? objects.version : undefined,
          present: (object) => object,
        })
        const lines: string[] = []
        const reading = (async () => {
          for await (const line of watch) lines.push(line)
        })()
        await perform(objects, after)
        await objects.settled()
        end.abort()
        await reading
        fold(known, lines)
        expect([...known.values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))).toEqual(
          objects.list('ConfigMap').filter(selection),
        )
      }),
    )
  })
})
