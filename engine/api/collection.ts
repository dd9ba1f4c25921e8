import { BerthError } from '../base/error.ts'
import type { StoredObject } from '../store/object.ts'
import type { ObjectStore } from '../store/objects.ts'
import type { ListMetadata } from './present.ts'
import type { Selection } from './selection.ts'

export interface ListRequest {
  readonly groupKind: string
  readonly namespace: string
  readonly selection: Selection
  /** 0 for all. */
  readonly limit: number
  readonly token: string | null
}

/**
 * A list, or a page of one. A page goes on behind the last object of the page before, as things are now: objects that
 * were there all the time are seen exactly once.
 */
export function listPage(
  objects: ObjectStore,
  { groupKind, namespace, selection, limit, token }: ListRequest,
): { readonly items: readonly StoredObject[]; readonly metadata: ListMetadata } {
  const metadata = { resourceVersion: String(objects.version) }
  const all = objects.list(groupKind, namespace).filter(selection)
  const after = token ? afterToken(token) : undefined
  const rest = after === undefined ? all : all.filter((object) => order(object) > after)
  const last = rest[limit - 1]
  if (limit === 0 || rest.length <= limit || !last) return { items: rest, metadata }
  return {
    items: rest.slice(0, limit),
    metadata: {
      ...metadata,
      continue: Buffer.from(JSON.stringify({ v: 1, after: order(last) })).toString('base64url'),
      remainingItemCount: rest.length - limit,
    },
  }
}

/** Sorts as the store lists: by namespace, then name. */
function order({ metadata }: StoredObject): string {
  return `${metadata.namespace ?? ''}\0${metadata.name}`
}

function afterToken(token: string): string {
  try {
    const { after } = JSON.parse(Buffer.from(token, 'base64url').toString()) as { after?: unknown }
    if (typeof after === 'string') return after
  } catch {
    // Told below: what cannot be read is not a token of ours.
  }
  throw new BerthError('INVALID', 'continue key is not valid: list again from the beginning')
}
