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

/**
 * The recorded exit of the container whose state folder this is; nothing while it has not ended, or when what is
 * recorded is damaged: an exit code is never made up.
 */
export async function readExit(stateFolder: string): Promise<Exit | undefined> {
  const values = await readValues(join(stateFolder, 'exit'), ['code', 'signal', 'oom', 'finished'])
  if (!values) return undefined
  return exitOf(values('code'), values('signal'), values('oom') === 1, values('finished'))
}

/** What is recorded of the last container that was created with this state folder. */
export async function readState(stateFolder: string): Promise<RuntimeState | undefined> {
  const values = await readValues(join(stateFolder, 'state'), ['pid', 'start', 'supervisor'])
  if (!values) return undefined
  return { pid: values('pid'), startTicks: values('start'), supervisorPid: values('supervisor') }
}

/** An `Exit` without a signal when there was none. */
export function exitOf(code: number, signal: number, oomKilled: boolean, finishedAt: number): Exit {
  return { code, ...(signal === 0 ? {} : { signal }), oomKilled, finishedAt }
}

/** `key value` lines with whole numbers; no values when the file is missing or lacks one of the keys. */
async function readValues(
  path: string,
  keys: readonly string[],
): Promise<((key: string) => number) | undefined> {
  try {
    const text = await readFile(path, 'utf8')
    // A line that was cut off has no end.
    const values = new Map(
      [...text.matchAll(/^(\w+) (\d+)\n/gm)].map(([, key, value]) => [key, Number(value)]),
    )
    if (keys.some((key) => !values.has(key))) return undefined
    return (key) => values.get(key) ?? 0
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
