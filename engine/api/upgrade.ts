import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { BerthError } from '../base/error.ts'
import { execProtocols, joinSession, refuseSession } from './exec.ts'
import { containerOf, isTrue } from './log.ts'
import type { ExecOptions, PodSession } from './pods.ts'
import { type Route, routeOf } from './route.ts'
import type { KubernetesApiOptions } from './serve.ts'
import { statusOf } from './status.ts'

/** Takes over a connection. Never throws: what cannot be done is answered in HTTP, or ends the connection. */
export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** Requests that become a connection: exec and attach, over WebSocket. */
export function upgradeKubernetes(options: KubernetesApiOptions): Upgrade {
  return (request, socket, head) => {
    socket.on('error', () => socket.destroy())
    upgrade(options, request, { socket, head }).catch((error: unknown) => {
      const status = statusOf(error)
      const body = JSON.stringify(status)
      socket.end(
        `HTTP/1.1 ${status.code} ${STATUS_CODES[status.code] ?? ''}\r\ncontent-type: application/json\r\n` +
          `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
      )
    })
  }
}

async function upgrade(
  options: KubernetesApiOptions,
  request: IncomingMessage,
  { socket, head }: { socket: Duplex; head: Buffer },
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://berth')
  const route = routeOf(url.pathname)
  if (route?.kind.kind !== 'Pod' || !['exec', 'attach'].includes(route.subresource)) {
    throw new BerthError(
      'UNSUPPORTED',
      `Cannot upgrade ${url.pathname}: only exec and attach of pods are connections`,
    )
  }
  const streams = streamsOf(url.searchParams)
  const gone = new AbortController()
  socket.once('close', () => gone.abort())
  const open = prepareSession(options, route, { query: url.searchParams, streams })
  // After all else that can be wrong: kubectl asks again by SPDY, and shows what that was told.
  if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
    throw new BerthError(
      'UNSUPPORTED',
      `Cannot speak "${request.headers.upgrade}": exec and attach speak WebSocket`,
      {
        hint: 'use kubectl 1.31 or later',
      },
    )
  }
  const opened = await open(gone.signal).then(
    (session) => ({ session }),
    (error: unknown) => ({ error }),
  )
  const { WebSocketServer } = await import('ws')
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    handleProtocols: (offered) => execProtocols.find((protocol) => offered.has(protocol)) ?? false,
  })
  const failed = () => {
    if ('session' in opened) opened.session.close()
  }
  socket.once('close', failed)
  if (socket.destroyed) return failed()
  server.handleUpgrade(request, socket, head, (client) => {
    socket.off('close', failed)
    // Told on the connection: to an HTTP error kubectl answers by asking again in SPDY, and shows what that was told.
    if ('session' in opened) void joinSession(client, opened.session, streams)
    else void refuseSession(client, opened.error)
  })
}

function streamsOf(query: URLSearchParams): Omit<ExecOptions, 'command'> {
  const [stdin, stdout, stderr, tty] = ['stdin', 'stdout', 'stderr', 'tty'].map((name) =>
    isTrue(query.get(name)),
  )
  const streams = {
    stdin: stdin ?? false,
    stdout: stdout ?? false,
    stderr: stderr ?? false,
    tty: tty ?? false,
  }
  if (!streams.stdin && !streams.stdout && !streams.stderr) {
    throw new BerthError('INVALID', 'you must specify at least 1 of stdin, stdout, stderr')
  }
  return streams
}

/** Checks what is asked for; what it gives opens the session. */
function prepareSession(
  { objects, pods }: KubernetesApiOptions,
  { namespace, name, subresource }: Route,
  { query, streams }: { query: URLSearchParams; streams: Omit<ExecOptions, 'command'> },
): (signal: AbortSignal) => Promise<PodSession> {
  const key = { groupKind: 'Pod', namespace, name }
  const object = objects.get(key)
  if (!object) throw new BerthError('NOT_FOUND', `Pod "${name}" does not exist`, { details: key })
  const pod = containerOf(object, query.get('container'))
  if (!pods) throw new BerthError('UNAVAILABLE', 'No node runs pods here')
  if (subresource === 'attach') return (signal) => pods.attach(pod, streams, signal)
  const command = query.getAll('command')
  if (command.length === 0) throw new BerthError('INVALID', 'you must specify command')
  return (signal) => pods.exec(pod, { ...streams, command }, signal)
}
