import { stableHash } from './hash.ts'
import { type KubeObject, timeText } from './meta.ts'
import type { Event } from './types.generated.ts'

export interface EventContent {
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly message: string
  /** Who says it: `deployment-controller`, `kubelet`. */
  readonly source: string
  /** The node that says it, if one does. */
  readonly host?: string
  /** The part of the object: `spec.containers{web}`. */
  readonly fieldPath?: string
}

/** How much of a message an event takes. */
const messageLimit = 1024

/** The name of the event for a content: equal contents about one object are one event, counted. */
export function eventName(about: Pick<KubeObject, 'metadata'>, content: EventContent): string {
  const { uid, name = '' } = about.metadata
  const { type, reason, message, source, fieldPath } = content
  return `${name.slice(0, 200)}.${stableHash([uid, type, reason, message, source, fieldPath ?? ''])}`
}

/** The event, made or counted once more. `before` is the one of the same name. */
export function eventFor(
  about: Pick<KubeObject, 'apiVersion' | 'kind' | 'metadata'>,
  content: EventContent,
  { before, now }: { readonly before: Event | undefined; readonly now: number },
): Event {
  const { name = '', namespace = '', uid = '', resourceVersion } = about.metadata
  const { type, reason, message, source, host, fieldPath } = content
  const time = timeText(now)
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: before?.metadata ?? { name: eventName(about, content), namespace: namespace || 'default' },
    involvedObject: {
      kind: about.kind,
      apiVersion: about.apiVersion,
      name,
      namespace,
      uid,
      ...(resourceVersion ? { resourceVersion } : {}),
      ...(fieldPath ? { fieldPath } : {}),
    },
    type,
    reason,
    message: message.slice(0, messageLimit),
    source: { component: source, ...(host ? { host } : {}) },
    reportingComponent: source,
    reportingInstance: host ?? '',
    firstTimestamp: before?.firstTimestamp ?? time,
    lastTimestamp: time,
    count: (before?.count ?? 0) + 1,
  }
}
