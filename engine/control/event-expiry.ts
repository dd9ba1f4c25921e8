import { timeMs } from '../object/meta.ts'
import { type Controller, type Decision, decide, deletion, type Key, keyOf, nothing } from './decision.ts'
import type { View } from './view.ts'

/** How long an event is kept after it happened last: kube-apiserver's default. */
const keptMs = 3_600_000

/** Forgets events after an hour. */
export const eventExpiryController: Controller = {
  name: 'event-expiry',
  reconcile,
  affected: (_, object): readonly Key[] => (object.kind === 'Event' ? [keyOf(object)] : []),
}

function reconcile(view: View, key: Key, now: number): Decision {
  const event = view.get('Event', key.namespace, key.name)
  if (!event) return nothing
  const last =
    event.series?.lastObservedTime ??
    event.lastTimestamp ??
    event.eventTime ??
    event.metadata.creationTimestamp
  const expiry = (timeMs(last) ?? now) + keptMs
  return expiry > now ? { writes: [], again: expiry } : decide([deletion(event, 'it is an hour old')])
}
