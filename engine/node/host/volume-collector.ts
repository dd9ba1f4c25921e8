import { messageOf } from '../../base/error.ts'
import type { Log } from '../../base/host/log.ts'
import type { KubeObject } from '../../object/meta.ts'
import type { PersistentVolume } from '../../object/types.generated.ts'
import { dataFinalizer, volumeDriver } from '../../object/volume-names.ts'

const retryMs = 5_000

export interface VolumeCollectorOptions {
  readonly volumes: {
    /** Idempotent; refuses a volume that a container uses. */
    remove(name: string): Promise<void>
  }
  /** Puts the object without the finalizer, after which it goes. */
  readonly release: (volume: PersistentVolume) => Promise<void>
  readonly view: { volume(name: string): PersistentVolume | undefined }
  readonly log: Log
  readonly signal: AbortSignal
}

/**
 * Removes the files of volumes that berth made, once their objects are deleted and nothing protects them. The object stays until that is
 * done, so that after a crash the next start carries on.
 */
export class VolumeCollector implements AsyncDisposable {
  readonly #options: VolumeCollectorOptions
  readonly #work = new Map<string, Promise<void>>()
  readonly #timers = new Set<NodeJS.Timeout>()

  constructor(options: VolumeCollectorOptions) {
    this.#options = options
  }

  /** An object came or changed; the view shows that already. */
  notice(object: KubeObject): void {
    const name = object.metadata.name ?? ''
    if (object.kind !== 'PersistentVolume' || this.#options.signal.aborted || this.#work.has(name)) return
    if (!isDue(object as PersistentVolume)) return
    const work = this.#collect(name).finally(() => this.#work.delete(name))
    this.#work.set(name, work)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer)
    await Promise.all(this.#work.values())
  }

  async #collect(name: string): Promise<void> {
    const { volumes, release, view, log } = this.#options
    const volume = view.volume(name)
    if (!volume || !isDue(volume)) return
    try {
      await volumes.remove(volume.spec.csi?.volumeHandle ?? '')
      await release({
        ...volume,
        metadata: {
          ...volume.metadata,
          finalizers: (volume.metadata.finalizers ?? []).filter((one) => one !== dataFinalizer),
        },
      })
    } catch (error) {
      log('warn', `Cannot remove volume ${JSON.stringify(name)}: ${messageOf(error)}`)
      const timer = setTimeout(() => {
        this.#timers.delete(timer)
        this.notice(volume)
      }, retryMs)
      timer.unref()
      this.#timers.add(timer)
    }
  }
}

function isDue({ metadata, spec }: PersistentVolume): boolean {
  const only = metadata.finalizers?.length === 1 && metadata.finalizers[0] === dataFinalizer
  return metadata.deletionTimestamp !== undefined && only && spec.csi?.driver === volumeDriver
}
