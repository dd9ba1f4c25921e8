import { BerthError, isBerthError } from '../../base/error.ts'
import type { Clock } from '../../base/host/clock.ts'
import type { Cluster } from '../cluster.ts'
import { decodeRecord, encodeRecord, recordName, type StoredRecord } from '../record.ts'

/** The records of releases, as Secrets of a cluster. */
export class Records {
  readonly #cluster: Cluster
  readonly #clock: Clock
  readonly #onUnreadable: (error: unknown) => void

  /** `onUnreadable` is told of each record that is damaged: one must not hide all others. */
  constructor(cluster: Cluster, clock: Clock, onUnreadable: (error: unknown) => void = () => undefined) {
    this.#cluster = cluster
    this.#clock = clock
    this.#onUnreadable = onUnreadable
  }

  /** All revisions of one release, oldest first; without a name of all releases, without a namespace of all. */
  async list(
    { namespace, release }: { namespace?: string; release?: string },
    signal: AbortSignal,
  ): Promise<StoredRecord[]> {
    const secrets = await this.#cluster.list(
      {
        apiVersion: 'v1',
        kind: 'Secret',
        labelSelector: release === undefined ? 'owner=helm' : `owner=helm,name=${release}`,
        ...(namespace === undefined ? {} : { namespace }),
      },
      signal,
    )
    return secrets
      .filter(({ type }) => type === undefined || type === 'helm.sh/release.v1')
      .flatMap((secret) => {
        try {
          return [decodeRecord(secret)]
        } catch (error) {
          this.#onUnreadable(error)
          return []
        }
      })
      .sort((a, b) => a.record.version - b.record.version)
  }

  /** Stores a new revision; `CONFLICT` when somebody else made it first. */
  async create(stored: StoredRecord, signal: AbortSignal): Promise<void> {
    try {
      await this.#cluster.create(encodeRecord(stored, this.#clock.now()), signal)
    } catch (error) {
      if (!isBerthError(error, 'ALREADY_EXISTS')) throw error
      const { name, version } = stored.record
      throw new BerthError(
        'CONFLICT',
        `Cannot begin revision ${version} of "${name}": another operation began it first`,
        { hint: `berth history ${name}`, cause: error },
      )
    }
  }

  /** Writes a revision that exists: status, hooks' runs and journal change together. */
  async update(stored: StoredRecord, signal: AbortSignal): Promise<void> {
    await this.#cluster.apply(encodeRecord(stored, this.#clock.now()), { force: true }, signal)
  }

  /** Removes a revision; one that is not there is removed already. */
  async remove({ record }: StoredRecord, signal: AbortSignal): Promise<void> {
    await this.#cluster.remove(
      {
        apiVersion: 'v1',
        kind: 'Secret',
        name: recordName(record.name, record.version),
        namespace: record.namespace,
      },
      { cascade: 'background' },
      signal,
    )
  }
}
