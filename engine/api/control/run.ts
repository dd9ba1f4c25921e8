import { setInterval as every } from 'node:timers/promises'
import { isBerthError } from '../../base/error.ts'
import type { Clock } from '../../base/host/clock.ts'
import type { Log } from '../../base/host/log.ts'
import type { Controller } from '../../control/decision.ts'
import { ControlLoop } from '../../control/host/loop.ts'
import type { KubeObject } from '../../object/meta.ts'
import type { ObjectStore } from '../../store/objects.ts'
import type { Writes } from '../writes.ts'
import { EventRecorder } from './events.ts'
import { storeView } from './view.ts'
import { StoreWriter } from './writer.ts'

export interface ControlOptions {
  readonly objects: ObjectStore
  readonly writes: Writes
  readonly controllers: readonly Controller[]
  readonly clock: Clock
  readonly log: Log
}

const sweepMs = 300_000

/**
 * Runs controllers over the store until `signal` aborts. At the start, and after a gap in the changes, they look at
 * everything.
 */
export async function runControllers(options: ControlOptions, signal: AbortSignal): Promise<void> {
  const { objects, writes, controllers, clock, log } = options
  const events = new EventRecorder(options)
  const writer = new StoreWriter({ objects, writes, events })
  await using loop = new ControlLoop({ controllers, view: storeView(objects), writer, clock, log, signal })
  const sweeping = sweepEvents(events, signal)
  while (!signal.aborted) {
    const changes = objects.watch({}, signal)
    for (const kind of objects.groupKinds()) {
      for (const object of objects.list(kind)) loop.notice(object as KubeObject)
    }
    try {
      for await (const { object } of changes) loop.notice(object as KubeObject)
    } catch (error) {
      if (!isBerthError(error, 'GONE')) throw error
    }
  }
  await sweeping
}

async function sweepEvents(events: EventRecorder, signal: AbortSignal): Promise<void> {
  try {
    for await (const _ of every(sweepMs, undefined, { signal, ref: false })) await events.sweep()
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
