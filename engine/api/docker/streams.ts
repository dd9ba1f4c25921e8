import type { IncomingMessage } from 'node:http'
import { BerthError, isBerthError } from '../../base/error.ts'
import { encodeFrame } from '../../client/docker/frames.ts'
import type { DockerEngine, ExecSession } from './engine.ts'
import { programMessage } from './errors.ts'
import { parseBody } from './exchange.ts'
import type { ExecInstance, ExecTable } from './exec-table.ts'
import { accept, type Connection, join, readBody } from './hijack.ts'
import type { Route } from './router.ts'

interface ExecCreate {
  readonly AttachStdin: boolean
  readonly AttachStdout: boolean
  readonly AttachStderr: boolean
  readonly Tty: boolean
  readonly Cmd: readonly string[] | null
  readonly Env: readonly string[] | null
  readonly User: string
  readonly WorkingDir: string
  readonly Privileged: boolean
}

interface ExecStart {
  readonly Detach: boolean
  readonly Tty: boolean
}

/** Logs, and exec but for its stream. */
export function streamRoutes(engine: DockerEngine, execs: ExecTable): Route[] {
  const { views, streams } = engine
  return [
    {
      method: 'GET',
      pattern: '/containers/:id/logs',
      answer: async (x) => {
        const { id, settings } = views.inspect(x.parameters[0] ?? '')
        const [stdout, stderr] = [x.flag('stdout'), x.flag('stderr')]
        if (!stdout && !stderr) {
          throw new BerthError('INVALID', 'Bad parameters: you must choose at least one stream')
        }
        const tail = x.query.get('tail')
        const [since, until] = [x.number('since'), x.number('until')]
        const options = {
          stdout,
          stderr,
          follow: x.flag('follow'),
          ...(since && { since: since * 1000 }),
          ...(until && { until: until * 1000 }),
          ...(tail !== null && /^\d+$/.test(tail) && { tail: Number(tail) }),
        }
        const lines = streams.logs(id, options, x.signal)
        const timestamps = x.flag('timestamps')
        x.open(`application/vnd.docker.${settings.terminal ? 'raw' : 'multiplexed'}-stream`)
        for await (const line of lines) {
          const content = timestamps
            ? Buffer.concat([Buffer.from(`${line.time} `), line.content])
            : line.content
          await x.write(settings.terminal ? content : encodeFrame(line.stream, content))
        }
        x.response.end()
      },
    },
    {
      method: 'POST',
      pattern: '/containers/:id/exec',
      answer: async (x) => {
        const { id, state } = views.inspect(x.parameters[0] ?? '')
        const body = await x.body<ExecCreate>()
        if (!body.Cmd || body.Cmd.length === 0) throw new BerthError('INVALID', 'No exec command specified')
        if (state.status !== 'running') throw new BerthError('CONFLICT', `Container ${id} is not running`)
        const settings = {
          argv: body.Cmd,
          env: body.Env ?? [],
          terminal: body.Tty === true,
          stdin: body.AttachStdin === true,
          ...(body.WorkingDir && { workingDir: body.WorkingDir }),
          ...(body.User && { user: body.User }),
          ...(body.Privileged && { privileged: true }),
        }
        const attach = {
          stdin: body.AttachStdin === true,
          stdout: body.AttachStdout === true,
          stderr: body.AttachStderr === true,
        }
        x.json({ Id: execs.create(id, settings, attach).id }, 201)
      },
    },
    {
      // Only detached: a start with a stream takes the connection over, see `startExec`.
      method: 'POST',
      pattern: '/exec/:id/start',
      answer: async (x) => {
        const instance = execs.get(x.parameters[0] ?? '')
        const body = await x.body<ExecStart>()
        const session = await launch(engine, instance)
        if (!body.Detach)
          throw new BerthError('INVALID', 'The start of an attached exec needs a connection to take over')
        session.stdin.end()
        session.stdout.resume()
        session.stderr.resume()
        x.empty(200)
      },
    },
    {
      method: 'POST',
      pattern: '/exec/:id/resize',
      answer: async (x) => {
        const instance = execs.get(x.parameters[0] ?? '')
        const size = [x.number('h') ?? 0, x.number('w') ?? 0] as const
        if (instance.session) await instance.session.resize(...size)
        else instance.size = size
        x.empty(200)
      },
    },
    {
      method: 'GET',
      pattern: '/exec/:id/json',
      answer: (x) => x.json(execView(execs.get(x.parameters[0] ?? ''))),
    },
  ]
}

function execView(instance: ExecInstance): object {
  const [entrypoint = '', ...args] = instance.settings.argv
  return {
    ID: instance.id,
    Running: instance.running,
    ExitCode: instance.exitCode,
    ProcessConfig: {
      tty: instance.settings.terminal,
      entrypoint,
      arguments: args,
      privileged: instance.settings.privileged === true,
      ...(instance.settings.user !== undefined && { user: instance.settings.user }),
    },
    OpenStdin: instance.attach.stdin,
    OpenStdout: instance.attach.stdout,
    OpenStderr: instance.attach.stderr,
    CanRemove: !instance.running && instance.exitCode !== null,
    ContainerID: instance.containerId,
    DetachKeys: '',
    Pid: instance.session?.pid ?? 0,
  }
}

async function launch({ streams }: DockerEngine, instance: ExecInstance): Promise<ExecSession> {
  if (instance.session || instance.running) {
    throw new BerthError('CONFLICT', `Exec instance ${instance.id} has already been started`)
  }
  instance.running = true
  try {
    const session = await streams.exec(instance.containerId, instance.settings, new AbortController().signal)
    instance.session = session
    session.exited.then(
      ({ code }) => {
        instance.running = false
        instance.exitCode = code
      },
      () => {
        instance.running = false
      },
    )
    if (instance.size) await session.resize(...instance.size)
    return session
  } catch (error) {
    instance.running = false
    const code = isBerthError(error) ? error.details?.exitCode : undefined
    if (typeof code === 'number') instance.exitCode = code
    throw error
  }
}

/** `POST /containers/ID/attach` on a connection of its own. */
export async function attach(
  engine: DockerEngine,
  connection: Connection,
  { ref, query }: { ref: string; query: URLSearchParams },
): Promise<void> {
  const { id, settings } = engine.views.inspect(ref)
  const on = (name: string) => ['1', 'true'].includes(query.get(name) ?? '')
  const wants = { stdin: on('stdin') && settings.stdin, stdout: on('stdout'), stderr: on('stderr') }
  const gone = new AbortController()
  connection.socket.once('close', () => gone.abort(new BerthError('INTERRUPTED', 'The client went away')))
  // Placed before the answer: the client starts the container when it has it, and misses no output.
  const session = engine.streams.attach(id, wants, gone.signal)
  session.catch(() => undefined)
  accept(connection, !settings.terminal)
  if (!on('stream')) {
    connection.socket.end()
    return
  }
  try {
    await join(connection, await session, { multiplexed: !settings.terminal, stdin: wants.stdin })
  } catch {
    // The start failed, and its own answer says why: on a stream there is no place for an error any more.
    connection.socket.end()
  }
}

/** `POST /exec/ID/start` on a connection of its own. */
export async function startExec(
  engine: DockerEngine,
  execs: ExecTable,
  { connection, request, id }: { connection: Connection; request: IncomingMessage; id: string },
): Promise<void> {
  const instance = execs.get(id)
  const { text, rest } = await readBody(connection, request)
  const body = parseBody<ExecStart>(text)
  const { terminal } = instance.settings
  let session: ExecSession
  try {
    session = await launch(engine, instance)
  } catch (error) {
    const message = isBerthError(error) ? programMessage(error) : undefined
    if (message === undefined) throw error
    // As with dockerd: the stream is opened, tells what is wrong, and the exit code says 126 or 127.
    accept(connection, !terminal)
    const content = Buffer.from(`OCI runtime exec failed: exec failed: ${message}\r\n`)
    connection.socket.end(terminal ? content : encodeFrame('stderr', content))
    return
  }
  accept(connection, !terminal)
  if (body.Detach) {
    session.stdin.end()
    connection.socket.end()
    return
  }
  await join({ ...connection, head: rest }, session, { multiplexed: !terminal, stdin: instance.attach.stdin })
}
