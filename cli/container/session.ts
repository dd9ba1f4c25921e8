import { once } from 'node:events'
import type { Socket } from 'node:net'
import { BerthError } from '../../engine/base/error.ts'
import type { Hijacked } from '../../engine/client/docker/docker.ts'
import { decodeFrames } from '../../engine/client/docker/frames.ts'
import type { Output } from '../output.ts'

export interface SessionOptions {
  readonly terminal: boolean
  readonly stdin: boolean
  /** Tells the daemon the size of this terminal; called at the start and when it changes. */
  readonly resize: (rows: number, columns: number) => Promise<unknown>
  /** Leaves the session: `ctrl-p,ctrl-q` by default, with a terminal only. */
  readonly detachKeys?: string | undefined
}

/** `-it` needs a keyboard: docker's words and, with them, its exit code 1. */
export function requireTerminal(
  output: Output,
  { terminal, stdin }: { terminal: boolean; stdin: boolean },
): void {
  if (terminal && stdin && output.streams.stdin?.isTTY !== true) {
    throw new BerthError('INVALID', 'The input device is not a TTY', {
      hint: 'leave out -t when the input is a pipe',
    })
  }
}

/**
 * Joins a container's stream with this process's streams until the container's side ends, or the keys to detach
 * were typed. The terminal is raw meanwhile and restored whatever happens.
 */
export async function runSession(
  stream: Hijacked,
  options: SessionOptions,
  output: Output,
): Promise<'ended' | 'detached'> {
  const { socket, head } = stream
  const { stdin } = output.streams
  const raw = options.terminal && options.stdin && stdin?.isTTY === true
  const detached = Promise.withResolvers<'detached'>()
  if (head.length > 0) socket.unshift(head)
  const onResize = () => {
    const { rows, columns } = process.stdout
    if (rows && columns) options.resize(rows, columns).catch(() => undefined)
  }
  const onInput = inputOf(socket, options, detached.resolve)
  const onEnd = () => socket.end()
  try {
    if (options.terminal && output.terminal) {
      onResize()
      process.on('SIGWINCH', onResize)
    }
    if (options.stdin && stdin) {
      if (raw) stdin.setRawMode?.(true)
      stdin.on('data', onInput)
      stdin.on('end', onEnd)
      stdin.resume()
    }
    return await Promise.race([copyOut(socket, options.terminal, output), detached.promise])
  } finally {
    process.off('SIGWINCH', onResize)
    if (options.stdin && stdin) {
      if (raw) stdin.setRawMode?.(false)
      stdin.off('data', onInput)
      stdin.off('end', onEnd)
      stdin.pause()
      ;(stdin as Partial<Socket>).unref?.()
    }
    socket.destroy()
  }
}

async function copyOut(socket: Socket, terminal: boolean, output: Output): Promise<'ended'> {
  const write = async (to: NodeJS.WritableStream, content: Uint8Array) => {
    if (!to.write(content)) await once(to, 'drain')
  }
  try {
    if (terminal) for await (const chunk of socket) await write(output.streams.stdout, chunk)
    else
      for await (const frame of decodeFrames(socket)) await write(output.streams[frame.stream], frame.content)
  } catch (error) {
    // The daemon ended in the middle: what came is printed, and the exit status is asked for elsewhere.
    if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error
  }
  return 'ended'
}

/** Passes input on, with back-pressure, and watches for the keys that leave. */
function inputOf(socket: Socket, options: SessionOptions, detach: (how: 'detached') => void) {
  const keys = options.terminal ? parseDetachKeys(options.detachKeys ?? 'ctrl-p,ctrl-q') : []
  let matched = 0
  return function (this: NodeJS.ReadableStream, chunk: Buffer): void {
    const out: number[] = []
    for (const byte of chunk) {
      if (keys.length > 0 && byte === keys[matched]) {
        matched++
        if (matched === keys.length) {
          detach('detached')
          return
        }
        continue
      }
      // The beginning of the sequence was typed, and something else after it: it was meant for the container.
      out.push(...keys.slice(0, matched))
      matched = byte === keys[0] ? 1 : 0
      if (matched === 0) out.push(byte)
    }
    if (out.length > 0 && socket.writable && !socket.write(Buffer.from(out))) {
      this.pause()
      socket.once('drain', () => this.resume())
    }
  }
}

/** `ctrl-p,ctrl-q` or `a,b`: the bytes of each key. */
export function parseDetachKeys(text: string): number[] {
  if (text === '') return []
  return text.split(',').map((key) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1]
    if (control) return control.toUpperCase().charCodeAt(0) & 0x1f
    if (key.length === 1) return key.charCodeAt(0)
    throw new BerthError('USAGE', `Cannot read "${key}" of --detach-keys as a key`, {
      hint: 'write single letters or ctrl- and a letter, separated by commas',
    })
  })
}
