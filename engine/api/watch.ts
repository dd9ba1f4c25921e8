import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChangeRecord, Watcher } from '../store/history.ts'
import type { StoredObject } from '../store/object.ts'
import type { ObjectStore } from '../store/objects.ts'
import type { Selection } from './selection.ts'
import { statusOf } from './status.ts'

const bookmarkMs = 30_000
/** A watch without a timeout of its own ends after this and up to as much again, so that clients come back at different times. */
const leastTimeoutMs = 1_800_000

export interface WatchRequest {
  readonly groupKind: string
  readonly apiVersion: string
  readonly kind: string
  readonly namespace: string
  readonly selection: Selection
  /** Changes after this version; undefined begins with all that is there. */
  readonly from: number | undefined
  /** All that is there first, then a bookmark that says so: how newer clients list. */
  readonly sendInitial: boolean
  readonly bookmarks: boolean
  readonly timeoutSeconds: number | undefined
  readonly signal: AbortSignal
  present(object: StoredObject, isFirst: boolean): unknown
}

/** Lines of a watch: one JSON object each. Throws GONE before the first when `from` is too old. */
export function watchLines(objects: ObjectStore, request: WatchRequest): AsyncIterable<string> {
  const timeoutMs = request.timeoutSeconds
    ? Math.min(request.timeoutSeconds * 1000, 2 ** 31 - 1)
    : leastTimeoutMs + randomInt(leastTimeoutMs)
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(timeoutMs)])
  const initial =
    request.from === undefined || request.sendInitial
      ? objects.list(request.groupKind, request.namespace).filter(request.selection)
      : []
  const from = request.from === undefined || request.sendInitial ? objects.version : request.from
  const { groupKind, namespace } = request
  const watcher = objects.watch({ groupKind, namespace, from }, signal)
  return lines(objects, { ...request, signal }, { watcher, initial, from })
}

interface Start {
  readonly watcher: Watcher
  readonly initial: readonly StoredObject[]
  readonly from: number
}

async function* lines(
  objects: ObjectStore,
  request: WatchRequest,
  { watcher, initial, from }: Start,
): AsyncGenerator<string> {
  let isFirst = true
  const line = (type: string, object: StoredObject) => {
    const text = `${JSON.stringify({ type, object: request.present(object, isFirst) })}\n`
    isFirst = false
    return text
  }
  try {
    await objects.settled()
    for (const object of initial) yield line('ADDED', object)
    if (request.sendInitial) yield bookmark(request, from, true)
    for await (const next of withBookmarks(watcher, request)) {
      if (next === 'bookmark') yield bookmark(request, Math.max(from, objects.committed), false)
      else {
        const type = seenAs(next, request.selection)
        if (type) yield line(type, next.object)
      }
    }
  } catch (error) {
    yield `${JSON.stringify({ type: 'ERROR', object: statusOf(error) })}\n`
  } finally {
    watcher.close()
  }
}

/** What a change is to somebody who sees only a selection: an object that no longer fits is deleted for them. */
function seenAs(change: ChangeRecord, selection: Selection): ChangeRecord['type'] | undefined {
  const before = change.previous !== undefined && selection(change.previous)
  const after = change.type !== 'DELETED' && selection(change.object)
  if (after) return before ? 'MODIFIED' : 'ADDED'
  return before ? 'DELETED' : undefined
}

async function* withBookmarks(
  watcher: Watcher,
  { bookmarks, signal }: WatchRequest,
): AsyncGenerator<ChangeRecord | 'bookmark'> {
  if (!bookmarks) return yield* watcher
  const changes = watcher[Symbol.asyncIterator]()
  let next = changes.next()
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  const tick = () =>
    sleep(bookmarkMs, 'bookmark' as const, { signal: either, ref: false }).catch(() => undefined)
  let timer = tick()
  try {
    for (;;) {
      const first = await Promise.race([next, timer])
      if (first === undefined) timer = new Promise(() => undefined)
      else if (first === 'bookmark') {
        yield first
        timer = tick()
      } else if (first.done) return
      else {
        yield first.value
        next = changes.next()
      }
    }
  } finally {
    stop.abort()
  }
}

function bookmark({ kind, apiVersion }: WatchRequest, version: number, isEndOfInitial: boolean): string {
  const annotations = isEndOfInitial ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}
  const metadata = { resourceVersion: String(version), creationTimestamp: null, ...annotations }
  return `${JSON.stringify({ type: 'BOOKMARK', object: { kind, apiVersion, metadata } })}\n`
}
