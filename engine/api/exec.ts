import { once } from 'node:events'
import type { Readable } from 'node:stream'
import type { WebSocket } from 'ws'
import { messageOf } from '../base/error.ts'
import type { ExecOptions, PodSession } from './pods.ts'

/**
 * The streams of exec and attach over one WebSocket. Each binary message begins with the number of its channel:
 *
 *   0 stdin   1 stdout   2 stderr   3 the Status at the end   4 {"Width": 80, "Height": 24}
 *   255 N     channel N has ended (v5 only): how the end of stdin is told
 */
export const execProtocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io']

const channels = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 }

/** How much may wait to be sent before the container is no longer read. */
const maxBufferedBytes = 1024 * 1024

/** Joins a session to a client until the process ends or the client leaves. Never rejects. */
export async function joinSession(
  socket: WebSocket,
  session: PodSession,
  options: Omit<ExecOptions, 'command'>,
): Promise<void> {
  const left = once(socket, 'close').then(() => session.close())
  socket.on('message', (data, isBinary) =>
    receive(socket, session, { data: data as Buffer, isBinary, options }),
  )
  session.stdin.on('error', () => undefined)
  // Tells the client that the streams are open.
  const first = options.stdout ? channels.stdout : options.stderr ? channels.stderr : channels.error
  try {
    await send(socket, first, new Uint8Array())
    await Promise.all([
      ...(options.stdout ? [pump(socket, channels.stdout, session.stdout)] : []),
      ...(options.stderr && !options.tty ? [pump(socket, channels.stderr, session.stderr)] : []),
    ])
    const { code } = await session.exited
    await send(socket, channels.error, Buffer.from(JSON.stringify(exitStatus(code))))
  } catch (error) {
    await sendFailure(socket, messageOf(error))
  }
  socket.close(1000)
  await left
}

/** Tells a client why there is no session, in a kubelet's words. Never rejects. */
export async function refuseSession(socket: WebSocket, error: unknown): Promise<void> {
  socket.on('error', () => undefined)
  await sendFailure(
    socket,
    `Internal error occurred: error executing command in container: ${messageOf(error)}`,
  )
  socket.close(1000)
}

async function sendFailure(socket: WebSocket, message: string): Promise<void> {
  const status = { metadata: {}, status: 'Failure', reason: 'InternalError', message, code: 500 }
  await send(socket, channels.error, Buffer.from(JSON.stringify(status))).catch(() => undefined)
}

interface Received {
  readonly data: Buffer
  readonly isBinary: boolean
  readonly options: Omit<ExecOptions, 'command'>
}

function receive(socket: WebSocket, session: PodSession, { data, isBinary, options }: Received): void {
  if (!isBinary || data.length === 0) return
  const [channel] = data
  const rest = data.subarray(1)
  if (channel === channels.stdin && options.stdin) {
    if (rest.length > 0 && !session.stdin.write(rest)) {
      socket.pause()
      session.stdin.once('drain', () => socket.resume())
    }
  } else if (channel === channels.close && rest[0] === channels.stdin) session.stdin.end()
  else if (channel === channels.resize && options.tty) resize(session, rest)
}

function resize(session: PodSession, payload: Buffer): void {
  try {
    const { Width: columns, Height: rows } = JSON.parse(payload.toString())
    const isSize = (value: unknown) => Number.isSafeInteger(value) && (value as number) > 0
    if (isSize(columns) && isSize(rows)) session.resize(rows, columns).catch(() => undefined)
  } catch {
    // A size that cannot be read changes nothing.
  }
}

async function pump(socket: WebSocket, channel: number, stream: Readable): Promise<void> {
  for await (const chunk of stream as AsyncIterable<Buffer>) await send(socket, channel, chunk)
}

/** Resolves when the message is on its way, or later while much is waiting. */
async function send(socket: WebSocket, channel: number, payload: Uint8Array): Promise<void> {
  if (socket.readyState !== socket.OPEN) return
  const message = Buffer.concat([Uint8Array.of(channel), payload])
  await new Promise<void>((resolve, reject) => {
    const sent = (error?: Error | null) => (error ? reject(error) : resolve())
    socket.send(message, sent)
    if (socket.bufferedAmount < maxBufferedBytes) resolve()
  })
}

/** The Status at the end of a command, in which kubectl finds the exit code. */
function exitStatus(code: number): object {
  if (code === 0) return { metadata: {}, status: 'Success' }
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${code}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  }
}
