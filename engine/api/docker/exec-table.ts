import { BerthError } from '../../base/error.ts'
import { newId } from '../../base/host/id.ts'
import type { ExecSettings } from '../../container/container.ts'
import type { ExecSession } from './engine.ts'

/** A process that was asked for (`exec create`) and may have been started. Lives in memory, as with dockerd. */
export interface ExecInstance {
  readonly id: string
  readonly containerId: string
  readonly settings: ExecSettings
  readonly attach: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean }
  session?: ExecSession
  running: boolean
  exitCode: number | null
  /** Asked for before the process was there. */
  size?: readonly [rows: number, columns: number]
}

/** So many finished ones are kept for clients that ask for the exit code later. */
const keep = 1000

/** The exec instances of all containers. */
export class ExecTable {
  readonly #instances = new Map<string, ExecInstance>()

  create(containerId: string, settings: ExecSettings, attach: ExecInstance['attach']): ExecInstance {
    const instance: ExecInstance = {
      id: newId(),
      containerId,
      settings,
      attach,
      running: false,
      exitCode: null,
    }
    this.#instances.set(instance.id, instance)
    for (const [id, old] of this.#instances) {
      if (this.#instances.size <= keep) break
      if (!old.running) this.#instances.delete(id)
    }
    return instance
  }

  get(id: string): ExecInstance {
    const instance = this.#instances.get(id)
    if (!instance) throw new BerthError('NOT_FOUND', `No such exec instance: ${id}`)
    return instance
  }

  /** Ids of those that run in a container. */
  runningIn(containerId: string): string[] {
    return [...this.#instances.values()]
      .filter((i) => i.containerId === containerId && i.running)
      .map((i) => i.id)
  }

  /** Forgets those of a container that is gone. */
  forget(containerId: string): void {
    for (const [id, instance] of this.#instances) {
      if (instance.containerId === containerId) this.#instances.delete(id)
    }
  }
}
