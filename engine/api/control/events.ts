import { messageOf } from '../../base/error.ts'
import type { Clock } from '../../base/host/clock.ts'
import type { Log } from '../../base/host/log.ts'
import { keyOf, type StoredObject, timestamp } from '../../store/object.ts'
import type { ObjectStore } from '../../store/objects.ts'

/** Something that happened to an object, as `kubectl describe` tells it. */
export interface EventNote {
  readonly about: {
    readonly apiVersion: string
    readonly kind: string
    readonly metadata: {
      readonly name?: string
      readonly namespace?: string
      readonly uid?: string
      readonly resourceVersion?: string
    }
    /** A part of it: `spec.containers{web}`. */
    readonly fieldPath?: string
  }
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly message: string
  readonly source: string
}

/** As long as Kubernetes keeps them. */
const keepMs = 3_600_000
const maxRemembered = 4096

interface Counted extends StoredObject {
  readonly count?: number
  readonly lastTimestamp?: string
}

/** Writes events; an equal one that is there still is counted instead. */
export class EventRecorder {
  readonly #objects: ObjectStore
  readonly #clock: Clock
  readonly #log: Log
  /** The event's name by what it says. */
  readonly #remembered = new Map<string, string>()
  #last = 0

  constructor({ objects, clock, log }: { objects: ObjectStore; clock: Clock; log: Log }) {
    this.#objects = objects
    this.#clock = clock
    this.#log = log
  }

  /** Never rejects: an event that cannot be written is logged. */
  async record(note: EventNote): Promise<void> {
    try {
      await this.#write(note)
    } catch (error) {
      this.#log('debug', 'an event was not written', { reason: note.reason, error: messageOf(error) })
    }
  }

  /** Removes events that are older than an hour. */
  async sweep(): Promise<void> {
    const limit = this.#clock.now() - keepMs
    const old = (this.#objects.list('Event') as Counted[]).filter(
      ({ lastTimestamp, metadata }) => Date.parse(lastTimestamp ?? metadata.creationTimestamp) < limit,
    )
    await Promise.allSettled(old.map((event) => this.#objects.delete(keyOf(event))))
  }

  async #write({ about, type, reason, message, source }: EventNote): Promise<void> {
    const { name = '', namespace = '', uid = '', resourceVersion } = about.metadata
    const where = namespace || 'default'
    const text = JSON.stringify([where, about.kind, uid, about.fieldPath, type, reason, message, source])
    const now = timestamp(this.#clock.now())
    const present = this.#objects.get({
      groupKind: 'Event',
      namespace: where,
      name: this.#remembered.get(text) ?? '',
    }) as Counted | undefined
    if (present) {
      await this.#objects.update({ ...present, count: (present.count ?? 1) + 1, lastTimestamp: now })
      return
    }
    const event = `${name}.${this.#stamp()}`
    this.#remember(text, event)
    await this.#objects.create({
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: event, namespace: where },
      involvedObject: {
        kind: about.kind,
        ...(namespace === '' ? {} : { namespace }),
        name,
        uid,
        apiVersion: about.apiVersion,
        ...(resourceVersion ? { resourceVersion } : {}),
        ...(about.fieldPath ? { fieldPath: about.fieldPath } : {}),
      },
      reason,
      message,
      source: { component: source },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
      type,
      reportingComponent: source,
      reportingInstance: '',
    })
  }

  #remember(text: string, event: string): void {
    this.#remembered.set(text, event)
    const [oldest] = this.#remembered.keys()
    if (this.#remembered.size > maxRemembered && oldest !== undefined) this.#remembered.delete(oldest)
  }

  /** Grows with time and never comes twice: a time in microseconds, which a number holds exactly. */
  #stamp(): string {
    this.#last = Math.max(this.#last + 1, this.#clock.now() * 1000)
    return this.#last.toString(16).padStart(16, '0')
  }
}
