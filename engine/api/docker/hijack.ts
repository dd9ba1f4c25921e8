import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Duplex, Readable } from 'node:stream'
import { BerthError } from '../../base/error.ts'
import { encodeFrame } from '../../client/docker/frames.ts'
import type { Session } from './engine.ts'
import type { ErrorAnswer } from './errors.ts'

/** A connection that stops being HTTP: attach and exec. */
export interface Connection {
  readonly socket: Duplex
  /** Bytes behind the request's head that have been read already. */
  readonly head: Buffer
  /** The client asked for `Upgrade: tcp`; without, docker's old clients get 200 and raw bytes. */
  readonly upgraded: boolean
}

const maxBodyBytes = 1 << 20

/** The body of an upgraded request: HTTP's parser has let go of the connection, so it is read by its length. */
export async function readBody(
  connection: Connection,
  request: IncomingMessage,
): Promise<{ text: string; rest: Buffer }> {
  const length = Number(request.headers['content-length'] ?? 0)
  if (!(length <= maxBodyBytes))
    throw new BerthError('INVALID', 'The body of the request is larger than 1 MiB')
  let have = connection.head
  while (have.length < length) {
    const [chunk] = (await once(connection.socket, 'data')) as [Buffer]
    have = Buffer.concat([have, chunk])
  }
  return { text: have.subarray(0, length).toString(), rest: have.subarray(length) }
}

/** Answers an upgraded request with an error in HTTP, and ends the connection. */
export function refuse({ socket }: Connection, { status, body }: ErrorAnswer): void {
  const content = `${JSON.stringify(body)}\n`
  socket.end(
    `HTTP/1.1 ${status} ${status === 404 ? 'Not Found' : 'Error'}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(content)}\r\nConnection: close\r\n\r\n${content}`,
  )
}

/** Tells the client that the connection is a stream from here on. */
export function accept({ socket, upgraded }: Connection, multiplexed: boolean): void {
  const type = `application/vnd.docker.${multiplexed ? 'multiplexed' : 'raw'}-stream`
  const head = upgraded
    ? `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${type}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`
    : `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\n\r\n`
  socket.write(head)
}

/**
 * Joins a connection and a session until the process's output ends: then the connection is closed. A client that
 * leaves first only closes the session; one that stops sending closes the process's stdin.
 */
export async function join(
  connection: Connection,
  session: Session,
  { multiplexed, stdin }: { multiplexed: boolean; stdin: boolean },
): Promise<void> {
  const { socket } = connection
  socket.on('error', () => socket.destroy())
  session.stdin.on('error', () => undefined)
  if (stdin) {
    if (connection.head.length > 0) session.stdin.write(connection.head)
    socket.pipe(session.stdin)
  } else {
    socket.resume()
  }
  const gone = new Promise<void>((resolve) => socket.once('close', resolve))
  const outputs = multiplexed
    ? [copy(session.stdout, socket, 'stdout'), copy(session.stderr, socket, 'stderr')]
    : [copy(session.stdout, socket, undefined)]
  await Promise.race([Promise.all(outputs), gone])
  socket.end()
  session.close()
}

async function copy(from: Readable, to: Duplex, stream: 'stdout' | 'stderr' | undefined): Promise<void> {
  try {
    for await (const chunk of from) {
      if (to.destroyed) return
      if (!to.write(stream ? encodeFrame(stream, chunk) : chunk)) await drained(to)
    }
  } catch {
    // The container's side broke off: what came has been sent, and the exit status is asked for elsewhere.
  }
}

function drained(to: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      to.off('drain', done)
      to.off('close', done)
      resolve()
    }
    to.on('drain', done)
    to.on('close', done)
  })
}
