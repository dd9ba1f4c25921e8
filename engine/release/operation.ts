import { type Code, codes } from '../base/codes.ts'
import { BerthError, isBerthError, messageOf, type SourcePosition } from '../base/error.ts'
import type { Values } from '../chart/chart.ts'
import type { Progress } from './host/progress.ts'
import type { JournalOptions } from './record.ts'
import type { ValuesMode } from './requests.ts'
import type { Operation } from './situation.ts'

/**
 * A request to change a release, as an object: whoever made it may go, the daemon carries it out. Its name is the
 * request's id, so that a request that is made twice is one.
 */
export interface ReleaseOperation {
  readonly apiVersion: 'berth.dev/v1'
  readonly kind: 'ReleaseOperation'
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly creationTimestamp?: string
  }
  readonly spec: OperationSpec
  readonly status?: OperationStatus
}

export interface OperationSpec {
  readonly command: Operation
  readonly release: string
  /** The release's namespace where it is not the operation's own: it may have to be made first. */
  readonly namespace?: string
  /** Who asks, for the one who is refused meanwhile. */
  readonly caller: string
  readonly options: Partial<JournalOptions>
  /** The packed chart in base64, for install and upgrade. */
  readonly chart?: string
  /** Where the caller has the chart, for errors. */
  readonly origin?: string
  readonly values?: Values
  readonly valuesMode?: ValuesMode
  /** Upgrade: install when there is nothing to upgrade. */
  readonly install?: boolean
  readonly createNamespace?: boolean
  readonly takeOwnership?: boolean
  readonly skipSchema?: boolean
  readonly labels?: Readonly<Record<string, string>>
  /** Rollback: 0 is the revision before the last. */
  readonly revision?: number
  readonly ignoreNotFound?: boolean
}

export interface OperationStatus {
  readonly phase: 'Running' | 'Succeeded' | 'Failed'
  readonly startedAt: string
  readonly finishedAt?: string
  /** The newest of what happened; `dropped` older ones are not in the list any more. */
  readonly progress: readonly Progress[]
  readonly dropped: number
  readonly revision?: number
  readonly kept?: readonly { readonly kind: string; readonly name: string }[]
  readonly error?: OperationError
}

interface OperationError {
  readonly code: Code
  readonly message: string
  readonly hint?: string
  readonly where?: SourcePosition
  readonly cause?: string
}

/** The namespace of the release that an operation changes. */
export function namespaceOf({ metadata, spec }: Pick<ReleaseOperation, 'metadata' | 'spec'>): string {
  return spec.namespace ?? metadata.namespace
}

export const operationKind = { apiVersion: 'berth.dev/v1', kind: 'ReleaseOperation' } as const
/** Label of a record that an operation made: after a crash it tells whose record it is. */
export const operationLabel = 'berth.dev/operation'
const progressLimit = 200

/** The list of what happened with one more at its end, the oldest dropped over the limit. */
export function withProgress(status: OperationStatus, more: readonly Progress[]): OperationStatus {
  const all = [...status.progress, ...more]
  const over = Math.max(0, all.length - progressLimit)
  return { ...status, progress: all.slice(over), dropped: status.dropped + over }
}

/** What `after` has that whoever saw `before` was not told yet. */
export function newProgress(seen: number, { progress, dropped }: OperationStatus): readonly Progress[] {
  return progress.slice(Math.max(0, seen - dropped))
}

/** An error as an operation's status keeps it. */
export function errorStatus(error: unknown): OperationError {
  if (!isBerthError(error)) return { code: 'INTERNAL', message: messageOf(error) }
  const cause = deepestCause(error)
  return {
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.where === undefined ? {} : { where: error.where }),
    ...(cause === undefined ? {} : { cause }),
  }
}

/** The first cause, however deep, that says more than the message does. */
function deepestCause(error: Error): string | undefined {
  for (let cause = error.cause; cause !== undefined; cause = (cause as Error | null)?.cause) {
    const text = messageOf(cause)
    if (!error.message.includes(text)) return text
  }
  return undefined
}

/** The error that an operation's status tells. */
export function errorOf({ code, message, hint, where, cause }: OperationError): BerthError {
  return new BerthError(code in codes ? code : 'INTERNAL', message, {
    ...(hint === undefined ? {} : { hint }),
    ...(where === undefined ? {} : { where }),
    ...(cause === undefined ? {} : { cause: new Error(cause) }),
  })
}
