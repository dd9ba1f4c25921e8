import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../../base/error.ts'

/** How a container's process ended. */
export interface Exit {
  /** 128 + signal when it was killed. */
  readonly code: number
  readonly signal?: number
  readonly oomKilled: boolean
  /** Milliseconds since 1970. */
  readonly finishedAt: number
}

/** What a supervisor wrote when its container was created. */
export interface RuntimeState {
  readonly pid: number
  /** Clock ticks since boot at which the process began: tells it from a later one of the same number. */
  readonly startTicks: number
  readonly supervisorPid: number
}

/** The recorded exit of the container whose state folder this is; nothing while it has not ended. */
export async function readExit(stateFolder: string): Promise<Exit | undefined> {
  const values = await readValues(join(stateFolder, 'exit'))
  if (!values) return undefined
  return exitOf(values('code'), values('signal'), values('oom') === 1, values('finished'))
}

/** What is recorded of the last container that was created with this state folder. */
export async function readState(stateFolder: string): Promise<RuntimeState | undefined> {
  const values = await readValues(join(stateFolder, 'state'))
  if (!values) return undefined
  return { pid: values('pid'), startTicks: values('start'), supervisorPid: values('supervisor') }
}

/** An `Exit` without a signal when there was none. */
export function exitOf(code: number, signal: number, oomKilled: boolean, finishedAt: number): Exit {
  return { code, ...(signal === 0 ? {} : { signal }), oomKilled, finishedAt }
}

/** `key value` lines with whole numbers; a missing file is no values. */
async function readValues(path: string): Promise<((key: string) => number) | undefined> {
  try {
    const text = await readFile(path, 'utf8')
    const values = new Map(text.split('\n').map((line) => line.split(' ', 2) as [string, string]))
    return (key) => Number(values.get(key) ?? 0)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
