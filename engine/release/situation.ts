import { BerthError } from '../base/error.ts'
import type { Status, StoredRecord } from './record.ts'

export type Operation = 'install' | 'upgrade' | 'rollback' | 'uninstall'

/** Where a release stands: `absent`, or the status of its last revision. */
export interface Situation {
  readonly name: 'absent' | Status
  /** In words, for errors and logs. */
  readonly reason: string
  readonly last: StoredRecord | undefined
  /** The newest revision that was ever complete and is in force. */
  readonly deployed: StoredRecord | undefined
  /** Revisions, oldest first. */
  readonly history: readonly StoredRecord[]
}

const reasons: Readonly<Record<'absent' | Status, string>> = {
  absent: 'there is no such release',
  unknown: 'its last revision has no known status',
  deployed: 'its last revision is deployed',
  uninstalled: 'it is uninstalled and its history is kept',
  superseded: 'its last revision is superseded',
  failed: 'its last operation failed',
  uninstalling: 'it is being uninstalled',
  'pending-install': 'its installation is not finished',
  'pending-upgrade': 'an upgrade is not finished',
  'pending-rollback': 'a rollback is not finished',
}

/** Names the situation of a release from its records. */
export function classify(records: readonly StoredRecord[]): Situation {
  const history = records.toSorted((a, b) => a.record.version - b.record.version)
  const last = history.at(-1)
  const name = last?.record.info.status ?? 'absent'
  return {
    name,
    reason: reasons[name] ?? reasons.unknown,
    last,
    deployed: history.findLast(({ record }) => record.info.status === 'deployed'),
    history,
  }
}

type Answer = 'yes' | 'in-use' | 'no-deployed' | 'pending' | 'not-found' | 'deleted'

/** Which operation may begin in which situation; the words are Helm's. */
export const allowed: Readonly<Record<'absent' | Status, Readonly<Record<Operation, Answer>>>> = {
  absent: { install: 'yes', upgrade: 'no-deployed', rollback: 'not-found', uninstall: 'not-found' },
  unknown: { install: 'in-use', upgrade: 'no-deployed', rollback: 'yes', uninstall: 'yes' },
  deployed: { install: 'in-use', upgrade: 'yes', rollback: 'yes', uninstall: 'yes' },
  uninstalled: { install: 'in-use', upgrade: 'no-deployed', rollback: 'yes', uninstall: 'deleted' },
  superseded: { install: 'in-use', upgrade: 'yes', rollback: 'yes', uninstall: 'yes' },
  failed: { install: 'in-use', upgrade: 'yes', rollback: 'yes', uninstall: 'yes' },
  uninstalling: { install: 'in-use', upgrade: 'no-deployed', rollback: 'yes', uninstall: 'yes' },
  'pending-install': { install: 'in-use', upgrade: 'pending', rollback: 'pending', uninstall: 'yes' },
  'pending-upgrade': { install: 'in-use', upgrade: 'pending', rollback: 'yes', uninstall: 'yes' },
  'pending-rollback': { install: 'in-use', upgrade: 'pending', rollback: 'yes', uninstall: 'yes' },
}

/** Throws when an operation may not begin, with Helm's words, the situation and what to do. */
export function requireAllowed(operation: Operation, release: string, situation: Situation): void {
  const { reason } = situation
  switch (allowed[situation.name][operation]) {
    case 'yes':
      return
    case 'in-use':
      throw new BerthError(
        'ALREADY_EXISTS',
        `Cannot install "${release}": cannot reuse a name that is still in use (${reason})`,
        {
          hint: `berth upgrade --install ${release} CHART, or berth uninstall ${release} first`,
        },
      )
    case 'no-deployed':
      throw new BerthError(
        'NOT_FOUND',
        `Cannot ${operation} "${release}": "${release}" has no deployed releases (${reason})`,
        {
          hint: `berth upgrade --install ${release} CHART installs it`,
        },
      )
    case 'pending':
      throw new BerthError(
        'CONFLICT',
        `Cannot ${operation} "${release}": another operation (install/upgrade/rollback) is in progress (${reason})`,
        { hint: `berth status ${release} --follow follows it; berth uninstall ${release} always works` },
      )
    case 'deleted':
      throw new BerthError(
        'CONFLICT',
        `Cannot uninstall "${release}": the release named "${release}" is already deleted`,
        {
          hint: 'without --keep-history its history is removed too',
        },
      )
    default:
      throw new BerthError('NOT_FOUND', `Cannot ${operation} "${release}": release: not found`, {
        hint: 'berth list -A shows the releases of all namespaces',
      })
  }
}
