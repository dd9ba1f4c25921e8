import type { Socket } from 'node:net'
import { BerthError } from '../../base/error.ts'
import { encodeExec } from '../encode.ts'
import type { ExecPlan } from '../plan.ts'
import { connectTo } from './connect.ts'
import { type Exit, exitOf, readExit } from './exit.ts'
import { Connection, frame, kernelError } from './protocol.ts'
import { type AttachSession, type ExecSession, Streams, sizeBody } from './session.ts'

/** What a supervisor says first. */
interface Hello {
  readonly version: number
  readonly pid: number
  readonly running: boolean
  readonly stateFolder: string
}

const protocolVersion = 1

function helloOf(payload: Buffer): Hello {
  const hello = {
    version: payload.readUInt32LE(0),
    pid: payload.readUInt32LE(4),
    running: payload.readUInt8(8) === 1,
    stateFolder: payload.subarray(9, -1).toString('utf8'),
  }
  if (hello.version === protocolVersion) return hello
  throw new BerthError(
    'UNSUPPORTED',
    `Cannot speak to the supervisor of process ${hello.pid}: it has protocol ${hello.version}, this is ${protocolVersion}`,
    { hint: 'stop the container with the version of berth that started it' },
  )
}

/** A connection up to its HELLO. `onFrame` gets what comes later. Rejects with the ERROR that came instead. */
async function greet(
  socket: Socket,
  action: string,
  options: { signal: AbortSignal; onFrame: (type: number, payload: Buffer) => void },
): Promise<{ connection: Connection; hello: Hello }> {
  const first = Promise.withResolvers<Hello>()
  let greeted = false
  const connection = new Connection(socket, (type, payload) => {
    if (greeted) return options.onFrame(type, payload)
    greeted = true
    try {
      if (type === frame.hello) first.resolve(helloOf(payload))
      else first.reject(kernelError(payload.subarray(4), action))
    } catch (error) {
      first.reject(error)
    }
  })
  const abort = () => first.reject(options.signal.reason)
  options.signal.addEventListener('abort', abort, { once: true })
  if (options.signal.aborted) abort()
  connection.closed.then(() =>
    first.reject(new BerthError('UNAVAILABLE', `Cannot ${action}: the supervisor closed the connection`)),
  )
  try {
    return { connection, hello: await first.promise }
  } catch (error) {
    connection.close()
    throw error
  } finally {
    options.signal.removeEventListener('abort', abort)
  }
}

/**
 * A container's supervisor, which lives as long as the container and longer than this process. Disposing only closes
 * the connection: the container goes on, and `connect` finds it again.
 */
export class Supervisor implements AsyncDisposable {
  /** Of the container's first process, as the host counts. */
  readonly pid: number
  /** Whether it had been started when this connection was made. */
  readonly running: boolean
  readonly stateFolder: string
  /**
   * How the container ended, also when it ended behind the supervisor's back and is only recorded. Rejects with
   * `UNAVAILABLE` when the supervisor was lost without a record, or this object disposed before the end.
   */
  readonly exited: Promise<Exit>
  readonly #socketPath: string
  readonly #connection: Connection

  private constructor(
    socketPath: string,
    greeting: { connection: Connection; hello: Hello },
    exit: Promise<Exit>,
  ) {
    const { connection, hello } = greeting
    this.#socketPath = socketPath
    this.#connection = connection
    this.pid = hello.pid
    this.running = hello.running
    this.stateFolder = hello.stateFolder
    const lost = connection.closed.then(async () => {
      const recorded = await readExit(hello.stateFolder)
      if (recorded) return recorded
      throw new BerthError(
        'UNAVAILABLE',
        `The supervisor of process ${hello.pid} is gone and recorded no exit`,
      )
    })
    this.exited = Promise.race([exit, lost])
    this.exited.catch(() => {})
    lost.catch(() => {})
  }

  /** Finds a supervisor again. Rejects with `UNAVAILABLE` when it is not there: then `readExit` tells. */
  static async connect(socketPath: string, signal: AbortSignal): Promise<Supervisor> {
    return await Supervisor.adopt(await connectTo(socketPath, signal), socketPath, {
      action: `reach the supervisor at "${socketPath}"`,
      signal,
    })
  }

  /** Takes over a connection on which a supervisor is about to say hello, or what went wrong with `action`. */
  static async adopt(
    socket: Socket,
    socketPath: string,
    options: { action: string; signal: AbortSignal },
  ): Promise<Supervisor> {
    const exit = Promise.withResolvers<Exit>()
    const greeting = await greet(socket, options.action, {
      signal: options.signal,
      onFrame: (type, payload) => {
        if (type !== frame.exit) return
        exit.resolve(
          exitOf(
            payload.readUInt32LE(0),
            payload.readUInt32LE(4),
            payload.readUInt8(8) === 1,
            Number(payload.readBigUInt64LE(9)),
          ),
        )
      },
    })
    return new Supervisor(socketPath, greeting, exit.promise)
  }

  /** Lets the container's process pass the barrier; resolves when its program runs. */
  async start(): Promise<void> {
    await this.#connection.request(frame.start, new Uint8Array(), `start process ${this.pid}`)
  }

  /** To the first process, or with `all` to every process of the container's cgroup. */
  async signal(signo: number, options: { all?: boolean } = {}): Promise<void> {
    const body = Buffer.alloc(5)
    body.writeUInt32LE(signo, 0)
    body.writeUInt8(options.all ? 1 : 0, 4)
    await this.#connection.request(frame.signal, body, `send signal ${signo} to process ${this.pid}`)
  }

  /** The size of the container's terminal; kept for one that is not open yet. */
  async resize(rows: number, columns: number): Promise<void> {
    await this.#connection.request(frame.resize, sizeBody(rows, columns), 'resize the terminal')
  }

  /** Joins what the container reads and writes from now on; attach before `start` to miss nothing. */
  async attach(options: { stdin: boolean; stdout: boolean; stderr: boolean }): Promise<AttachSession> {
    const { connection, streams } = await this.#open('attach to the container', (type, _payload, of) => {
      if (type === frame.exit) of.end()
    })
    const flags = (options.stdin ? 1 : 0) | (options.stdout ? 2 : 0) | (options.stderr ? 4 : 0)
    await connection.request(frame.attach, Uint8Array.of(flags), 'attach to the container')
    connection.closed.then(() => streams.end())
    return {
      stdin: streams.stdin,
      stdout: streams.stdout,
      stderr: streams.stderr,
      resize: (rows, columns) => this.resize(rows, columns),
      close: () => connection.close(),
    }
  }

  /** Runs a further process. Rejects when it cannot be started: `details.exitCode` is then 126 or 127. */
  async exec(plan: ExecPlan): Promise<ExecSession> {
    const exit = Promise.withResolvers<{ code: number }>()
    exit.promise.catch(() => {})
    const action = `execute ${plan.id}`
    const { connection, streams } = await this.#open(action, (type, payload, of) => {
      if (type !== frame.execExit) return
      of.end()
      exit.resolve({ code: payload.readUInt32LE(0) })
    })
    exit.promise.then(
      () => connection.close(),
      () => {},
    )
    connection.closed.then(() => {
      streams.end()
      exit.reject(new BerthError('UNAVAILABLE', `Cannot ${action}: the supervisor closed the connection`))
    })
    try {
      const pid = await connection.request(frame.exec, encodeExec(plan), action)
      return {
        pid,
        stdin: streams.stdin,
        stdout: streams.stdout,
        stderr: streams.stderr,
        exited: exit.promise,
        signal: async (signo) => {
          const body = Buffer.alloc(5)
          body.writeUInt32LE(signo, 0)
          await connection.request(frame.signal, body, `send signal ${signo} to process ${pid}`)
        },
        resize: async (rows, columns) => {
          await connection.request(frame.resize, sizeBody(rows, columns), 'resize the terminal')
        },
        close: () => connection.close(),
      }
    } catch (error) {
      connection.close()
      throw error
    }
  }

  async #open(
    action: string,
    onFrame: (type: number, payload: Buffer, streams: Streams) => void,
  ): Promise<{ connection: Connection; streams: Streams }> {
    const signal = AbortSignal.timeout(30_000)
    let opened: Connection | undefined
    const streams = new Streams(() => opened as Connection)
    const socket = await connectTo(this.#socketPath, signal)
    const { connection } = await greet(socket, action, {
      signal,
      onFrame: (type, payload) => {
        streams.onFrame(opened as Connection, type, payload)
        onFrame(type, payload, streams)
      },
    })
    opened = connection
    return { connection, streams }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.close()
    await this.#connection.closed
  }
}
