import { setTimeout as sleep } from 'node:timers/promises'
import { BerthError } from '../base/error.ts'
import type { KubeObject } from '../object/meta.ts'
import { statusError } from './status-error.ts'

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  /** Everything that was there has been told; what follows are changes. */
  | { readonly type: 'SYNCED' }

/** Where changes come from. */
export interface ChangeSource<T> {
  list(): Promise<{ readonly items: readonly T[]; readonly resourceVersion: string }>
  /** The lines of a watch. Throws `GONE` when the version is too old. */
  watch(resourceVersion: string): Promise<AsyncIterable<string>>
}

const firstPauseMs = 50
const longestPauseMs = 5000

/**
 * Lists, then follows, for as long as `signal` lets it. Told to the reader: each object's life without gaps, except
 * that changes during an outage may arrive as one.
 */
export async function* followChanges<T extends KubeObject>(
  source: ChangeSource<T>,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent<T>> {
  const known = new Map<string, T>()
  let version: string | undefined
  let isSynced = false
  let pauseMs = firstPauseMs
  while (!signal.aborted) {
    try {
      if (version === undefined) {
        const { items, resourceVersion } = await source.list()
        yield* differences(known, items)
        version = resourceVersion
        if (!isSynced) yield { type: 'SYNCED' }
        isSynced = true
      }
      for await (const line of await source.watch(version)) {
        const event = readEvent<T>(line)
        pauseMs = firstPauseMs
        version = event.object.metadata.resourceVersion ?? version
        if (event.type === 'BOOKMARK') continue
        if (event.type === 'DELETED') known.delete(keyOf(event.object))
        else known.set(keyOf(event.object), event.object)
        yield { type: event.type, object: event.object }
      }
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof BerthError)) throw error
      if (error.code === 'GONE') version = undefined
      else if (error.code !== 'UNAVAILABLE' && error.code !== 'TIMEOUT') throw error
      else if (!isSynced) throw error
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
    pauseMs = Math.min(pauseMs * 2, longestPauseMs)
  }
}

function* differences<T extends KubeObject>(
  known: Map<string, T>,
  items: readonly T[],
): Generator<WatchEvent<T>> {
  const present = new Map(items.map((object) => [keyOf(object), object]))
  for (const [key, object] of known) {
    const now = present.get(key)
    if (now?.metadata.uid === object.metadata.uid) continue
    known.delete(key)
    yield { type: 'DELETED', object }
  }
  for (const [key, object] of present) {
    const before = known.get(key)
    known.set(key, object)
    if (!before) yield { type: 'ADDED', object }
    else if (before.metadata.resourceVersion !== object.metadata.resourceVersion) {
      yield { type: 'MODIFIED', object }
    }
  }
}

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`
}

function readEvent<T extends KubeObject>(
  line: string,
): {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'
  readonly object: T
} {
  let event: { type: string; object: T & { code?: number } }
  try {
    event = JSON.parse(line)
  } catch {
    // A connection that was cut in the middle of a line.
    throw new BerthError('UNAVAILABLE', 'The watch was cut')
  }
  if (event.type === 'ERROR') throw statusError(event.object.code ?? 500, event.object)
  return event as { type: 'ADDED'; object: T }
}
