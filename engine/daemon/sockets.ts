import { chmod, chown, readFile, rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { BerthError } from '../base/error.ts'

export interface SocketOptions {
  /** A descriptor that the keeper opened, or a path to open here. */
  readonly at: { readonly fd: number } | { readonly path: string; readonly group?: number }
  readonly handle: RequestListener
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
}

/** An HTTP server on a Unix socket. Long waits and streams are normal here: there is no timeout on requests. */
export async function listen({ at, handle, upgrade }: SocketOptions): Promise<Server> {
  const server = createServer({ requestTimeout: 0, headersTimeout: 30_000, keepAliveTimeout: 60_000 }, handle)
  server.on('upgrade', upgrade)
  if ('path' in at) await rm(at.path, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen('fd' in at ? { fd: at.fd } : { path: at.path }, resolve)
  })
  if ('path' in at) {
    await chmod(at.path, at.group === undefined ? 0o600 : 0o660)
    if (at.group !== undefined) await chown(at.path, 0, at.group)
  }
  return server
}

/** Stops taking connections and waits until those at work are done, at most so long. Streams are cut. */
export async function closeServer(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  const timer = setTimeout(() => server.closeAllConnections(), graceMs)
  await closed
  clearTimeout(timer)
}

/**
 * The id of the group that may use the sockets: the configured one, which has to exist, else `berth` if there is one.
 */
export async function socketGroup(name: string | undefined): Promise<number | undefined> {
  const groups = await readFile('/etc/group', 'utf8').catch(() => '')
  const wanted = name ?? 'berth'
  const line = groups.split('\n').find((entry) => entry.startsWith(`${wanted}:`))
  if (line) return Number(line.split(':')[2])
  if (name === undefined) return undefined
  throw new BerthError('CONFIGURATION', `The configuration's group "${name}" does not exist`, {
    hint: `groupadd ${name}, or leave it out`,
  })
}
