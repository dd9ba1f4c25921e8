import type { Socket } from 'node:net'
import { getSystemErrorName } from 'node:util'
import { BerthError } from '../../base/error.ts'
import { ops } from '../encode.ts'

/** Frames of `launcher/protocol.h`, which says what each holds. */
export const frame = {
  hello: 1,
  ok: 2,
  error: 3,
  stdout: 4,
  stderr: 5,
  exit: 6,
  execExit: 7,
  start: 16,
  signal: 17,
  resize: 18,
  attach: 19,
  exec: 20,
  stdin: 21,
  closeStdin: 22,
  launch: 32,
  bind: 33,
  release: 34,
  listen: 35,
} as const

const headerBytes = 5
const frameLimitBytes = 16 << 20

/** `u32 length of what follows | u8 type | payload`, little endian. */
export function encodeFrame(type: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const header = Buffer.alloc(headerBytes)
  header.writeUInt32LE(payload.length + 1, 0)
  header.writeUInt8(type, 4)
  return Buffer.concat([header, payload])
}

/** Cuts a byte stream into frames. Throws `INTERNAL` for a length that no peer of ours sends. */
export class FrameReader {
  #kept: Buffer = Buffer.alloc(0)

  push(chunk: Buffer): { readonly type: number; readonly payload: Buffer }[] {
    const frames = []
    let rest = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk])
    while (rest.length >= headerBytes) {
      const length = rest.readUInt32LE(0)
      if (length === 0 || length > frameLimitBytes) {
        throw new BerthError('INTERNAL', `Cannot read a frame of ${length} bytes from the launcher`)
      }
      if (rest.length < length + 4) break
      frames.push({ type: rest.readUInt8(4), payload: rest.subarray(headerBytes, length + 4) })
      rest = rest.subarray(length + 4)
    }
    this.#kept = rest
    return frames
  }
}

/** The names of steps by their number; `sysctl` shares the one of `write`. */
const stepNames = new Map(
  Object.entries(ops)
    .filter(([name]) => name !== 'sysctl')
    .map(([name, [op]]) => [op, name]),
)
const phases = ['host', 'parent', 'child', 'supervisor']

/**
 * The error of an ERROR frame behind its request: a system call that failed. `details` has step, phase, index, call,
 * errno, why, at, and `exitCode` (127 not found, 126 otherwise) when it was the container's program that did not start.
 */
export function kernelError(payload: Buffer, action: string): BerthError {
  const [error, phase, index, op] = [0, 4, 8, 12].map((at) => payload.readUInt32LE(at)) as [
    number,
    number,
    number,
    number,
  ]
  const [call = '', why = '', at = ''] = payload.subarray(16).toString('utf8').split('\0')
  const errno = systemErrorName(error)
  const step = stepNames.get(op)
  const reason = [why, at].filter((text) => text !== '').join(', ')
  return new BerthError(
    'KERNEL',
    `Cannot ${action}: ${call}: ${errno}${reason === '' ? '' : ` (${reason})`}`,
    {
      details: {
        ...(step === undefined ? {} : { step, index }),
        phase: phases[phase] ?? phase,
        call,
        errno,
        ...(why === '' ? {} : { why }),
        ...(at === '' ? {} : { at }),
        ...(step === 'exec' ? { exitCode: errno === 'ENOENT' ? 127 : 126 } : {}),
      },
    },
  )
}

function systemErrorName(error: number): string {
  try {
    return getSystemErrorName(-error)
  } catch {
    return `errno ${error}`
  }
}

/** A connection on which requests have answers and other frames come in between. Owns its socket. */
export class Connection {
  readonly #socket: Socket
  readonly #reader = new FrameReader()
  readonly #waiting = new Map<
    number,
    { action: string; resolve: (value: number) => void; reject: (error: unknown) => void }
  >()
  readonly #onFrame: (type: number, payload: Buffer) => void
  #next = 1
  /** Resolves when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>

  constructor(socket: Socket, onFrame: (type: number, payload: Buffer) => void) {
    this.#socket = socket
    this.#onFrame = onFrame
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        for (const { action, reject } of this.#waiting.values()) {
          reject(new BerthError('UNAVAILABLE', `Cannot ${action}: the launcher closed the connection`))
        }
        this.#waiting.clear()
        resolve()
      })
    })
    /* A reset is followed by the close, which tells everybody. */
    socket.on('error', () => {})
    socket.on('data', (chunk) => this.#receive(chunk as Buffer))
  }

  #receive(chunk: Buffer): void {
    try {
      for (const { type, payload } of this.#reader.push(chunk)) {
        if (type === frame.ok || type === frame.error) this.#answer(type, payload)
        else this.#onFrame(type, payload)
      }
    } catch (error) {
      this.#socket.destroy(error as Error)
    }
  }

  #answer(type: number, payload: Buffer): void {
    const id = payload.readUInt32LE(0)
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (type === frame.ok) waiting?.resolve(payload.readUInt32LE(4))
    else if (waiting) waiting.reject(kernelError(payload.subarray(4), waiting.action))
    else this.#onFrame(type, payload)
  }

  /** Sends a request and resolves to the number in its answer. `action` completes "Cannot …" when it fails. */
  request(type: number, body: Uint8Array, action: string): Promise<number> {
    const id = this.#next++
    const head = Buffer.alloc(4)
    head.writeUInt32LE(id)
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) {
        reject(new BerthError('UNAVAILABLE', `Cannot ${action}: the launcher closed the connection`))
        return
      }
      this.#waiting.set(id, { action, resolve, reject })
      this.#socket.write(encodeFrame(type, Buffer.concat([head, body])))
    })
  }

  /** Sends a frame without an answer; `done` is called when the kernel has taken it. */
  send(type: number, payload: Uint8Array, done?: (error?: Error | null) => void): void {
    this.#socket.write(encodeFrame(type, payload), done)
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  close(): void {
    this.#socket.destroy()
  }
}
