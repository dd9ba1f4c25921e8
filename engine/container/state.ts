import { BerthError } from '../base/error.ts'
import type { ContainerRecord, ContainerStatus } from './container.ts'
import { shortId } from './id.ts'

export type Verb = 'start' | 'stop' | 'kill' | 'remove' | 'exec' | 'attach' | 'top'

/** `go`: do it. `done`: it is so already, docker's 304. Otherwise the error. */
type Answer = 'go' | 'done' | ((record: ContainerRecord) => string)

const name = ({ settings, id }: ContainerRecord): string => settings.name || shortId(id)
const marked = (record: ContainerRecord): string =>
  `Container ${shortId(record.id)} is marked for removal and cannot be started`
const notRunning = (record: ContainerRecord): string => `Container ${record.id} is not running`
const cannotKill = (record: ContainerRecord): string =>
  `Cannot kill container: ${name(record)}: container ${record.id} is not running`
const restartingText = (record: ContainerRecord): string =>
  `Container ${record.id} is restarting, wait until the container is running`

/** Which verb is possible in which state, with docker's words where it is not. */
const table: Readonly<Record<ContainerStatus, Readonly<Record<Verb, Answer>>>> = {
  created: {
    start: 'go',
    stop: 'done',
    kill: cannotKill,
    remove: 'go',
    exec: notRunning,
    attach: 'go',
    top: notRunning,
  },
  running: {
    start: 'done',
    stop: 'go',
    kill: 'go',
    remove: (record) =>
      `Cannot remove container "${name(record)}": container is running: stop the container before removing or force remove`,
    exec: 'go',
    attach: 'go',
    top: 'go',
  },
  paused: {
    start: () => 'Cannot start a paused container, try unpause instead',
    stop: 'go',
    kill: 'go',
    remove: (record) =>
      `Cannot remove container "${name(record)}": container is paused and must be unpaused first`,
    exec: (record) => `Container ${name(record)} is paused, unpause the container before exec`,
    attach: () => 'Container is paused, unpause the container before attach',
    top: 'go',
  },
  restarting: {
    start: 'go',
    stop: 'go',
    kill: cannotKill,
    remove: (record) =>
      `Cannot remove container "${name(record)}": container is restarting: stop the container before removing or force remove`,
    exec: restartingText,
    attach: restartingText,
    top: restartingText,
  },
  removing: {
    start: marked,
    stop: 'done',
    kill: cannotKill,
    remove: 'go',
    exec: notRunning,
    attach: marked,
    top: notRunning,
  },
  exited: {
    start: 'go',
    stop: 'done',
    kill: cannotKill,
    remove: 'go',
    exec: notRunning,
    attach: 'go',
    top: notRunning,
  },
  dead: {
    start: marked,
    stop: 'done',
    kill: cannotKill,
    remove: 'go',
    exec: notRunning,
    attach: marked,
    top: notRunning,
  },
}

/** True: go on. False: nothing to do. Throws CONFLICT with docker's text. */
export function allows(record: ContainerRecord, verb: Verb): boolean {
  const answer = table[record.state.status][verb]
  if (typeof answer === 'string') return answer === 'go'
  throw new BerthError('CONFLICT', answer(record), {
    details: { id: record.id, status: record.state.status },
  })
}
