import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Socket, type Server as TcpServer } from 'node:net'
import { decode, encode, RECURSION_DESIRED } from 'dns-packet'
import { messageOf } from '../../base/error.ts'
import type { Log } from '../../base/host/log.ts'
import { contains, isIpv4, parseIpv4, parseSubnet } from '../address.ts'
import {
  type Query,
  type Reply,
  readQuery,
  startOfAuthority,
  writeError,
  writeReply,
} from '../dns-message.ts'
import type { NameTable } from '../names.ts'
import { resolve, ttlSeconds } from '../resolve.ts'
import { forward, framed, type Server } from './upstream.ts'

/** A socket that somebody else opened (the keeper), or where to open one. */
type Listen = { readonly fd: number } | { readonly address: string; readonly port: number }

export interface DnsOptions {
  readonly udp: Listen
  readonly tcp?: Listen
  readonly names: NameTable
  /** Subnets whose reverse names are berth's. */
  readonly local: readonly string[]
  /** Who is asked for all other names. */
  readonly upstream: () => readonly Server[]
  readonly log: Log
}

export interface DnsServer extends AsyncDisposable {
  /** Where UDP is served. */
  readonly address: string
  readonly port: number
}

const mostForwarded = 1000
const mostConnections = 200
const idleMs = 10_000

type Transport = 'udp' | 'tcp'

/** Serves names to containers, over UDP and TCP. Nothing is cached: what is local is in memory, the rest is upstream's. */
export async function serveDns(options: DnsOptions): Promise<DnsServer> {
  const closing = new AbortController()
  const responder = new Responder(options, closing.signal)
  await using stack = new AsyncDisposableStack()
  const udp = await openUdp(options.udp)
  stack.defer(() => new Promise<void>((done) => udp.close(done)))
  udp.on('error', (error) => options.log('warn', 'DNS over UDP failed', { error: error.message }))
  udp.on('message', (message, from) => {
    responder.answer(message, from.address, 'udp').then(
      (answer) => {
        if (answer && !closing.signal.aborted) udp.send(answer, from.port, from.address, () => {})
      },
      (error) => options.log('warn', 'Cannot answer a DNS query', { error: messageOf(error) }),
    )
  })
  if (options.tcp) {
    const sockets = new Set<Socket>()
    const tcp = await openTcp(options.tcp, (socket) => {
      sockets.add(socket.once('close', () => sockets.delete(socket)))
      serveConnection(socket, responder, options.log)
    })
    stack.defer(async () => {
      const closed = new Promise<void>((done) => tcp.close(() => done()))
      for (const socket of sockets) socket.destroy()
      await closed
    })
  }
  stack.defer(() => closing.abort())
  const { address, port } = udp.address()
  const owned = stack.move()
  return { address, port, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

class Responder {
  readonly #options: DnsOptions
  readonly #signal: AbortSignal
  readonly #local
  #turn = 0
  #forwarded = 0
  #preferred: string | undefined

  constructor(options: DnsOptions, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
    this.#local = options.local.map(parseSubnet)
  }

  /** The answer to a message, or nothing for what is no query. */
  async answer(message: Uint8Array, asker: string, transport: Transport): Promise<Uint8Array | undefined> {
    const query = readQuery(message)
    if (!query) return undefined
    if ('rcode' in query) return writeError(query.id, query.rcode)
    const found = this.#resolve(query, asker)
    switch (found.kind) {
      case 'records':
        return writeReply(query, { rcode: 'ok', authoritative: true, ...found }, transport)
      case 'empty':
        return writeReply(query, this.#negative('ok'), transport)
      case 'missing':
        return writeReply(query, this.#negative('missing'), transport)
      case 'alias':
        return writeReply(query, await this.#follow(query, found.to, { asker, transport }), transport)
      case 'forward':
        return (await this.#forward(message, transport)) ?? writeReply(query, { rcode: 'failed' }, transport)
    }
  }

  #resolve(query: Query, asker: string, name = query.name) {
    if (!query.isInternet) return { kind: 'forward' } as const
    const { names } = this.#options
    const isLocal = (address: string) =>
      isIpv4(address) && this.#local.some((subnet) => contains(subnet, parseIpv4(address)))
    return resolve({ name, type: query.type }, { names, asker, isLocal, turn: this.#turn++ })
  }

  #negative(rcode: 'ok' | 'missing'): Reply {
    return { rcode, authoritative: true, authorities: [startOfAuthority(this.#options.names.domain)] }
  }

  /** CNAME, and what it leads to: berth's own or upstream's. */
  async #follow(query: Query, to: string, from: { asker: string; transport: Transport }): Promise<Reply> {
    const alias = { type: 'CNAME', name: query.name, ttl: ttlSeconds, data: to } as const
    if (query.type === 'CNAME') return { rcode: 'ok', answers: [alias] }
    const found = this.#resolve(query, from.asker, to)
    if (found.kind === 'records') return { rcode: 'ok', answers: [alias, ...found.answers] }
    if (found.kind !== 'forward') return { rcode: 'ok', answers: [alias] }
    const type = query.packet.questions?.[0]?.type ?? 'A'
    const question = encode({ type: 'query', flags: RECURSION_DESIRED, questions: [{ type, name: to }] })
    const answer = await this.#forward(question, from.transport)
    if (!answer) return { rcode: 'failed' }
    return { rcode: 'ok', answers: [alias, ...(decode(Buffer.from(answer)).answers ?? [])] }
  }

  async #forward(message: Uint8Array, transport: Transport): Promise<Uint8Array | undefined> {
    if (this.#forwarded >= mostForwarded) return undefined
    this.#forwarded++
    try {
      /* Who answered last is asked first: a dead server costs its timeout once. */
      const preferred = (server: Server) => (server.address === this.#preferred ? 0 : 1)
      const servers = [...this.#options.upstream()].sort((a, b) => preferred(a) - preferred(b))
      const found = await forward(message, servers, { transport, signal: this.#signal })
      if (found) this.#preferred = found.server.address
      return found?.answer
    } finally {
      this.#forwarded--
    }
  }
}

async function openUdp(listen: Listen): Promise<UdpSocket> {
  const socket = createSocket('udp4')
  // For a descriptor the event comes before `bind` returns.
  const listening = once(socket, 'listening')
  socket.bind(
    'fd' in listen ? { fd: listen.fd } : { address: listen.address, port: listen.port, exclusive: true },
  )
  await listening
  return socket
}

async function openTcp(listen: Listen, onConnection: (socket: Socket) => void): Promise<TcpServer> {
  const server = createServer(onConnection)
  server.maxConnections = mostConnections
  server.listen(
    'fd' in listen ? { fd: listen.fd } : { host: listen.address, port: listen.port, exclusive: true },
  )
  await once(server, 'listening')
  return server
}

/** Queries of one connection, each be16 length | message, answered as they are done. */
function serveConnection(socket: Socket, responder: Responder, log: Log): void {
  let received: Buffer = Buffer.alloc(0)
  const asker = (socket.remoteAddress ?? '').replace(/^::ffff:/, '')
  socket.setTimeout(idleMs, () => socket.destroy())
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      const whole = 2 + received.readUInt16BE(0)
      const message = received.subarray(2, whole)
      received = received.subarray(whole)
      responder.answer(message, asker, 'tcp').then(
        (answer) => (answer ? socket.write(framed(answer)) : socket.destroy()),
        (error) => log('warn', 'Cannot answer a DNS query', { error: messageOf(error) }),
      )
    }
  })
}
