import { BerthError } from '../base/error.ts'
import type { ReleaseRecord, StoredRecord } from './record.ts'
import { optionsOf, type RollbackRequest } from './requests.ts'
import type { Situation } from './situation.ts'

/** A record with other facts about it. */
export function withInfo(stored: StoredRecord, info: Partial<ReleaseRecord['info']>): StoredRecord {
  return { ...stored, record: { ...stored.record, info: { ...stored.record.info, ...info } } }
}

/** Older revisions whose objects may still be there: from the last complete one on. */
export function beforeOf({ history }: Situation, version: number): StoredRecord[] {
  const older = history.filter(
    ({ record }) => record.version < version && record.info.status !== 'uninstalled',
  )
  const complete = older.findLastIndex(({ record }) =>
    ['deployed', 'superseded'].includes(record.info.status),
  )
  return older.slice(Math.max(0, complete))
}

/** The revision that a rollback makes: the wanted one's chart, values and manifest under a new number. */
export function rollbackRecord(
  request: RollbackRequest,
  { history, last }: Situation,
  now: string,
): StoredRecord {
  const current = last?.record.version ?? 0
  const wanted = request.version || current - 1
  const target = history.find(({ record }) => record.version === wanted)
  if (!target)
    throw new BerthError(
      'NOT_FOUND',
      `Cannot roll back "${request.name}": release has no ${wanted} version`,
      {
        hint: `berth history ${request.name} lists its revisions`,
      },
    )
  const { record, labels } = target
  return {
    labels: { ...labels, ...request.labels },
    journal: {
      operation: 'rollback',
      done: [],
      options: {
        ...optionsOf(request),
        description: request.options?.description || `Rollback to ${wanted}`,
      },
    },
    record: {
      ...record,
      hooks: (record.hooks ?? []).map((hook) => ({ ...hook, last_run: { phase: '' } })),
      info: {
        first_deployed: last?.record.info.first_deployed ?? record.info.first_deployed,
        last_deployed: now,
        description: `Rollback to ${wanted}`,
        status: 'pending-rollback',
        ...(record.info.notes === undefined ? {} : { notes: record.info.notes }),
      },
      version: current + 1,
      apply_method: 'ssa',
    },
  }
}
