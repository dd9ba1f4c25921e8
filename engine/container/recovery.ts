import type { ContainerRecord } from './container.ts'
import type { Exit } from './ports.ts'

/** What is there of a recorded container when the daemon starts. */
export interface Observed {
  readonly supervisor: 'none' | 'created' | 'running'
  /** The exit that the run's supervisor left. */
  readonly exit: Exit | undefined
}

export type Situation =
  /** `create` was cut off: nobody was told its id. */
  | 'undo-create'
  | 'finish-remove'
  /** It went on without the daemon. */
  | 'adopt'
  /** It ended without the daemon. */
  | 'record-exit'
  /** It ended and nobody saw how: the machine restarted, or its supervisor was killed. */
  | 'lost'
  /** `start` was cut off: nobody was told that it runs. */
  | 'abort-start'
  | 'at-rest'

/** What a record and the world say together. Every combination has one answer. */
export function classifyRecovery(record: ContainerRecord, observed: Observed): Situation {
  if (record.state.status === 'removing' || record.state.status === 'dead') return 'finish-remove'
  switch (record.progress.step) {
    case 'making':
      return 'undo-create'
    case 'starting':
      return 'abort-start'
    case 'up':
      if (observed.exit) return 'record-exit'
      return observed.supervisor === 'running' ? 'adopt' : 'lost'
    case 'idle':
      return 'at-rest'
  }
}
