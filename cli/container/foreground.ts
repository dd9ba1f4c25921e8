import { isBerthError } from '../../engine/base/error.ts'
import type { DockerClient } from '../../engine/client/docker/docker.ts'
import type { Output } from '../output.ts'
import { runSession } from './session.ts'

export interface Foreground {
  readonly id: string
  readonly terminal: boolean
  readonly stdin: boolean
  readonly autoRemove: boolean
  readonly sigProxy: boolean
  readonly detachKeys?: string | undefined
  readonly streams: readonly string[]
  /** `attach`: the container runs already. */
  readonly running?: boolean
}

/** Signals that go to the container instead of ending the client. */
const proxied: readonly NodeJS.Signals[] = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGCONT',
]

/**
 * Attaches, starts, and stays until the container ends: its exit code, or 0 after the keys to detach. The streams
 * are attached and the wait is placed before the start, so that nothing of a short-lived container is lost.
 */
export async function attachAndStart(
  client: DockerClient,
  what: Foreground,
  output: Output,
): Promise<number> {
  const path = `/containers/${what.id}`
  const has = (name: string) => what.streams.includes(name)
  const stream = await client.hijack(`${path}/attach`, {
    query: {
      stream: true,
      stdin: what.stdin && has('stdin'),
      stdout: has('stdout'),
      stderr: has('stderr'),
      detachKeys: what.detachKeys,
    },
  })
  const condition = what.autoRemove ? 'removed' : what.running ? 'not-running' : 'next-exit'
  const waiting = new AbortController()
  // The engine answers a wait at once with the head, so after this line the wait is placed.
  const wait = await client.stream('POST', `${path}/wait`, { query: { condition }, signal: waiting.signal })
  const proxies = what.sigProxy && !what.terminal ? proxySignals(client, path, output) : undefined
  try {
    const session = runSession(
      stream,
      {
        terminal: what.terminal,
        stdin: what.stdin,
        detachKeys: what.detachKeys,
        // Before the start there is no terminal to resize: that answer is of no interest.
        resize: (rows, columns) => client.json('POST', `${path}/resize`, { query: { h: rows, w: columns } }),
      },
      output,
    )
    session.catch(() => undefined)
    if (!what.running) {
      await client.json('POST', `${path}/start`)
      const { rows, columns } = process.stdout
      if (what.terminal && output.terminal && rows && columns) {
        await client.json('POST', `${path}/resize`, { query: { h: rows, w: columns } }).catch(() => undefined)
      }
    }
    if ((await session) === 'detached') {
      output.note('read escape sequence')
      return 0
    }
    let text = ''
    for await (const chunk of wait) text += chunk
    const { StatusCode } = JSON.parse(text) as { StatusCode: number }
    return StatusCode
  } finally {
    proxies?.stop()
    waiting.abort()
    stream.socket.destroy()
  }
}

function proxySignals(client: DockerClient, path: string, output: Output): { stop(): void } {
  let asked = 0
  const listeners = proxied.map((name) => {
    const listener = () => {
      // As with docker: who asks a third time wants to leave, whatever the container makes of it.
      if ((name === 'SIGINT' || name === 'SIGTERM') && ++asked === 3) {
        output.note(`got 3 SIGTERM/SIGINTs, forcefully exiting`)
        process.exit(1)
      }
      client.json('POST', `${path}/kill`, { query: { signal: name.slice(3) } }).catch(() => undefined)
    }
    process.on(name, listener)
    return { name, listener }
  })
  return {
    stop() {
      for (const { name, listener } of listeners) process.off(name, listener)
    },
  }
}

/** Exit code of a start that failed: 127 program not found, 126 not executable, 125 the engine. */
export function startExit(error: unknown): number {
  if (!isBerthError(error)) return 125
  if (typeof error.details?.exitCode === 'number') return error.details.exitCode
  const text = error.message
  if (/executable file not found|no such file or directory/.test(text)) return 127
  if (/permission denied|is a directory|exec format error/.test(text))
    return error.code === 'FORBIDDEN' ? 125 : 126
  return 125
}
