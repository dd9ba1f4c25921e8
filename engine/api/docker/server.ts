import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { BerthError, isBerthError } from '../../base/error.ts'
import type { Log } from '../../base/host/log.ts'
import { containerRoutes } from './containers.ts'
import type { DockerEngine } from './engine.ts'
import { answerOfError, programMessage } from './errors.ts'
import { Exchange } from './exchange.ts'
import { ExecTable } from './exec-table.ts'
import { type Connection, refuse } from './hijack.ts'
import { imageRoutes } from './images.ts'
import { networkRoutes } from './networks.ts'
import { Router, splitVersion } from './router.ts'
import { attach, startExec, streamRoutes } from './streams.ts'
import { newestVersion, oldestVersion, systemRoutes } from './system.ts'
import { volumeRoutes } from './volumes.ts'

const newest = newestVersion.split('.').map(Number) as [number, number]
const oldest = oldestVersion.split('.').map(Number) as [number, number]

/** Paths whose connection stops being HTTP. */
const streamPath = /^\/(containers|exec)\/([^/]+)\/(attach|start)$/

/**
 * Docker's Engine API. `handle` and `upgrade` are hung on a `node:http` server; on a socket that is shared with
 * Kubernetes' API, `owns` tells whose a request is (docker's is always under `/vN.NN/` there).
 */
export class DockerApi {
  readonly #engine: DockerEngine
  readonly #router: Router
  readonly #execs = new ExecTable()
  readonly #log: Log

  constructor(engine: DockerEngine, log: Log) {
    this.#engine = engine
    this.#log = log
    this.#router = new Router([
      ...systemRoutes(engine),
      ...imageRoutes(engine),
      ...containerRoutes(engine, this.#execs),
      ...streamRoutes(engine, this.#execs),
      ...networkRoutes(engine),
      ...volumeRoutes(engine),
    ])
  }

  /** Whether a path is docker's on the shared socket: `/v1.41/…`, which no Kubernetes path looks like. */
  static owns(url: string): boolean {
    return /^\/v\d+\.\d+\//.test(url)
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    response.setHeader('Api-Version', newestVersion)
    response.setHeader('Docker-Experimental', 'false')
    response.setHeader('Ostype', 'linux')
    response.setHeader('Server', `berth/${this.#engine.facts.version} (linux)`)
    this.#answer(request, response).catch((error) => this.#fail(request, response, error))
  }

  /** A request with `Connection: Upgrade`: attach and exec are streams, anything else is answered as usual. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const connection = { socket, head, upgraded: true }
    socket.on('error', () => socket.destroy())
    this.#stream(request, connection).catch((error) => {
      if (!isBerthError(error, 'INTERRUPTED')) this.#note(request, error)
      refuse(connection, answerOfError(error))
    })
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://docker')
    const { version, rest } = splitVersion(url.pathname)
    checkVersion(version)
    const stream = request.method === 'POST' ? streamPath.exec(rest) : null
    if (
      stream &&
      (stream[1] === 'exec' ? request.headers['content-type'] === undefined : stream[3] === 'attach')
    ) {
      // Docker's clients before 1.9 and some libraries take the connection over without asking for an upgrade.
      return this.#stream(request, takeOver(request, response))
    }
    const found = this.#router.find(request.method ?? 'GET', rest)
    if (!found) throw unknownRequest(request.method ?? 'GET', rest)
    const { parameters, route } = found
    const exchange = new Exchange(request, response, {
      query: url.searchParams,
      parameters,
      version: version ?? newest,
    })
    await route.answer(exchange)
  }

  async #stream(request: IncomingMessage, connection: Connection): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://docker')
    const { version, rest } = splitVersion(url.pathname)
    checkVersion(version)
    const [, kind, ref = '', verb] = streamPath.exec(rest) ?? []
    if (kind === 'containers' && verb === 'attach') {
      return attach(this.#engine, connection, { ref: decodeURIComponent(ref), query: url.searchParams })
    }
    if (kind === 'exec' && verb === 'start') {
      return startExec(this.#engine, this.#execs, { connection, request, id: ref })
    }
    throw new BerthError('NOT_FOUND', 'page not found')
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    if (response.destroyed || isBerthError(error, 'INTERRUPTED')) {
      response.destroy()
      return
    }
    this.#note(request, error)
    if (response.headersSent) {
      response.end()
      return
    }
    const { status, body } = answerOfError(error)
    const content = `${JSON.stringify(body)}\n`
    response.writeHead(status, {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(content),
    })
    response.end(content)
  }

  /** A defect is logged with its stack; what the caller did wrong is the caller's to know. */
  #note(request: IncomingMessage, error: unknown): void {
    if (
      isBerthError(error) &&
      (programMessage(error) !== undefined || !['INTERNAL', 'KERNEL'].includes(error.code))
    )
      return
    this.#log('error', 'a request of docker’s API failed', {
      request: `${request.method} ${request.url}`,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    })
  }
}

function checkVersion(version: readonly [number, number] | undefined): void {
  if (!version) return
  const text = version.join('.')
  if (version[0] > newest[0] || (version[0] === newest[0] && version[1] > newest[1])) {
    throw new BerthError(
      'INVALID',
      `client version ${text} is too new. Maximum supported API version is ${newestVersion}`,
    )
  }
  if (version[0] < oldest[0] || (version[0] === oldest[0] && version[1] < oldest[1])) {
    throw new BerthError(
      'INVALID',
      `client version ${text} is too old. Minimum supported API version is ${oldestVersion}, please upgrade your client to a newer version`,
    )
  }
}

/** Takes the connection from HTTP's parser, listeners and all: removing `data` alone breaks half-close. */
function takeOver(request: IncomingMessage, response: ServerResponse): Connection {
  const { socket } = request
  response.detachSocket(socket)
  for (const event of ['data', 'end', 'close', 'error', 'drain', 'timeout']) socket.removeAllListeners(event)
  socket.setTimeout(0)
  return { socket, head: Buffer.alloc(0), upgraded: false }
}

/** What docker's API begins with and berth's has not, or not all of it. */
const dockersPaths =
  /^\/(build|commit|containers|distribution|exec|images|networks|session|system|volumes)(\/|$)/

function unknownRequest(method: string, path: string): BerthError {
  if (!dockersPaths.test(path)) return new BerthError('NOT_FOUND', 'page not found')
  return new BerthError('UNSUPPORTED', `${method} ${path} is not there yet in berth`)
}
