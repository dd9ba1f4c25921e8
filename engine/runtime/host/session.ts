import { Readable, Writable } from 'node:stream'
import type { Connection } from './protocol.ts'
import { frame } from './protocol.ts'

/** Standard input, output and error of a process, over a connection of their own. */
export interface AttachSession {
  readonly stdin: Writable
  /** Both outputs come over one connection: what is not read of one holds up the other too. */
  readonly stdout: Readable
  readonly stderr: Readable
  resize(rows: number, columns: number): Promise<void>
  close(): void
}

/** A further process in a container. */
export interface ExecSession extends AttachSession {
  /** As the host counts. */
  readonly pid: number
  signal(signo: number): Promise<void>
  /** Comes after all output: whoever waits for it must read both outputs, or let them flow with `resume()`. */
  readonly exited: Promise<{ code: number }>
}

const stdinChunkBytes = 16 * 1024

/** Rows and columns as RESIZE holds them. */
export function sizeBody(rows: number, columns: number): Buffer {
  const body = Buffer.alloc(4)
  body.writeUInt16LE(rows, 0)
  body.writeUInt16LE(columns, 2)
  return body
}

/** The three streams of a connection; the connection's owner gives frames to `onFrame` and calls `end` at its end. */
export class Streams {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  #full = new Set<Readable>()

  constructor(connection: () => Connection) {
    const open = (): Readable => {
      const stream: Readable = new Readable({
        read: () => {
          this.#full.delete(stream)
          if (this.#full.size === 0) connection().resume()
        },
      })
      return stream
    }
    this.stdout = open()
    this.stderr = open()
    this.stdin = new Writable({
      decodeStrings: true,
      write: (chunk: Buffer, _encoding, done) => {
        const last = Math.max(0, Math.ceil(chunk.length / stdinChunkBytes) - 1)
        for (let i = 0; i <= last; i++) {
          const part = chunk.subarray(i * stdinChunkBytes, (i + 1) * stdinChunkBytes)
          connection().send(frame.stdin, part, i === last ? done : undefined)
        }
      },
      final: (done) => connection().send(frame.closeStdin, new Uint8Array(), done),
    })
    /* A process that has ended takes no input: that is its exit's news, not an error of its own. */
    this.stdin.on('error', () => {})
  }

  onFrame(connection: Connection, type: number, payload: Buffer): void {
    const stream = type === frame.stdout ? this.stdout : type === frame.stderr ? this.stderr : undefined
    if (!stream || stream.destroyed || stream.readableEnded) return
    if (stream.push(Buffer.from(payload))) return
    this.#full.add(stream)
    connection.pause()
  }

  end(): void {
    for (const stream of [this.stdout, this.stderr]) if (!stream.destroyed) stream.push(null)
    this.stdin.destroy()
  }
}
