import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { BerthError, errnoOf, isBerthError, messageOf } from '../base/error.ts'
import type { Log } from '../base/host/log.ts'
import { type Anonymous, type Caller, checkPassword, Door, decide, parseHtpasswd } from './access.ts'
import { answerJson, Refusal, refuse } from './answer.ts'
import { blobCall, type Call, catalogCall, manifestCall, only, referrersCall, tagsCall } from './handlers.ts'
import { parseRoute, type Route } from './route.ts'
import { RegistryStorage } from './storage.ts'
import { Uploads } from './uploads.ts'

export interface RegistryOptions {
  /** `127.0.0.1:5000`, `[::1]:5000`; port 0 draws one. */
  readonly address: string
  /** The folder of its content, made when missing. */
  readonly root: string
  /** An htpasswd file with bcrypt or `{SHA}` lines: who may write, and read. */
  readonly htpasswd?: string
  /** More users, as htpasswd's lines: name → hash. */
  readonly users?: ReadonlyMap<string, string>
  /** What callers without credentials may do. */
  readonly anonymous: Anonymous
  readonly log?: Log
}

/** A registry that listens. Disposal ends its connections. */
export interface ServingRegistry extends AsyncDisposable {
  /** `127.0.0.1:5000`: how images name it. */
  readonly address: string
}

const tokenSeconds = 300

/** Serves the OCI distribution specification 1.1 from a folder. Killed at any time, it never has a wrong blob. */
export async function serveRegistry(options: RegistryOptions): Promise<ServingRegistry> {
  const { host, port } = parseAddress(options.address)
  const listed = options.htpasswd === undefined ? [] : parseHtpasswd(await readFile(options.htpasswd, 'utf8'))
  const users = new Map([...(options.users ?? []), ...listed])
  const door = new Door(users, checkPassword)
  const storage = await RegistryStorage.open(options.root)
  const uploads = new Uploads()
  const server = createServer((request, response) => {
    respond({ storage, uploads, door, options }, request, response).catch((error) => {
      fail(response, error, options.log)
    })
  })
  // A large blob may take its time.
  server.requestTimeout = 0
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(options.address, error)))
    server.listen(port, host, resolve)
  })
  const bound = server.address()
  const boundPort = typeof bound === 'object' && bound ? bound.port : port
  return {
    address: `${host.includes(':') ? `[${host}]` : host}:${boundPort}`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

interface Registry {
  readonly storage: RegistryStorage
  readonly uploads: Uploads
  readonly door: Door
  readonly options: RegistryOptions
}

async function respond(
  registry: Registry,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://registry')
  const method = request.method ?? 'GET'
  response.setHeader('docker-distribution-api-version', 'registry/2.0')
  const route = parseRoute(url.pathname)
  if (!route) throw new Refusal('NOT_FOUND')
  const caller = await registry.door.caller(request.headers.authorization)
  const call: Call = { storage: registry.storage, request, response, query: url.searchParams, method }
  if (route.kind === 'token') return tokenCall(registry, call, caller)
  admit(registry, call, { caller, route })
  await dispatch(registry, call, route)
}

function dispatch(registry: Registry, call: Call, route: Route): Promise<void> | void {
  switch (route.kind) {
    case 'base':
      only(call.method, 'GET', 'HEAD')
      return answerJson(call.response, {})
    case 'catalog':
      return catalogCall(call)
    case 'tags':
      return tagsCall(call, route)
    case 'manifest':
      return manifestCall(call, route)
    case 'blob':
      return blobCall(call, route)
    case 'uploads':
      return registry.uploads.begin(call, route)
    case 'upload':
      return registry.uploads.go(call, route)
    case 'referrers':
      return referrersCall(call, route)
    case 'wrong':
      throw new Refusal(route.code)
  }
}

/** Refuses who may not: 401 with how to log in, or 403 where nobody can. */
function admit(registry: Registry, call: Call, asked: { caller: Caller; route: Route }): void {
  const { options, door } = registry
  const { caller, route } = asked
  const access = call.method === 'GET' || call.method === 'HEAD' ? 'read' : 'write'
  const decision = decide(caller, access, { anonymous: options.anonymous, hasUsers: door.hasUsers })
  // docker asks `/v2/` alone how to log in; see `Door`.
  const mustTell =
    route.kind === 'base' &&
    door.hasUsers &&
    options.anonymous !== 'write' &&
    call.request.headers.authorization === undefined
  if (decision === 'deny') {
    throw new Refusal(
      'DENIED',
      'this registry has no users and lets nobody write: start it with --htpasswd FILE or --anonymous write',
    )
  }
  if (decision === 'challenge' || mustTell) {
    throw new Refusal('UNAUTHORIZED', undefined, { 'www-authenticate': challengeFor(registry, call) })
  }
}

function challengeFor(registry: Registry, call: Call): string {
  if (registry.options.anonymous === 'none') return 'Basic realm="berth registry"'
  const host = call.request.headers.host ?? registry.options.address
  return `Bearer realm="http://${host}/token",service="${host}"`
}

function tokenCall(registry: Registry, call: Call, caller: Caller): void {
  only(call.method, 'GET', 'HEAD')
  if (caller.kind === 'wrong' || (caller.kind === 'nobody' && registry.options.anonymous === 'none')) {
    throw new Refusal('UNAUTHORIZED', 'name or password is wrong', {
      'www-authenticate': 'Basic realm="berth registry"',
    })
  }
  const token = registry.door.token(caller, Date.now(), tokenSeconds)
  answerJson(call.response, { token, access_token: token, expires_in: tokenSeconds })
}

function fail(response: ServerResponse, error: unknown, log: Log | undefined): void {
  const gone = ['ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE'].includes(
    String((error as { code?: unknown })?.code),
  )
  if (gone || response.headersSent || response.destroyed) {
    response.destroy()
    if (!gone && !(error instanceof Refusal))
      log?.('warn', 'registry: cannot send', { error: messageOf(error) })
    return
  }
  // The rest of a body that was not read would be taken for the next request.
  if (!response.req.complete) response.setHeader('connection', 'close')
  if (error instanceof Refusal) {
    refuse(response, error)
    return
  }
  log?.('error', 'registry: cannot answer', { error: messageOf(error) })
  refuse(response, new Refusal('UNKNOWN', isBerthError(error) ? error.message : undefined))
}

function parseAddress(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:]*)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (!match || port > 65535) {
    throw new BerthError('INVALID', `Cannot listen on ${JSON.stringify(text)}: it should be ADDRESS:PORT`, {
      hint: 'for example 127.0.0.1:5000',
    })
  }
  return { host: match[1] ?? (match[2] || '0.0.0.0'), port }
}

function listenError(address: string, error: Error): BerthError {
  const inUse = errnoOf(error) === 'EADDRINUSE'
  return new BerthError(
    'UNAVAILABLE',
    `Cannot listen on ${address}: ${inUse ? 'another program does' : messageOf(error)}`,
    {
      cause: error,
      ...(inUse ? { hint: 'choose another port with --addr, or end that program' } : {}),
    },
  )
}
