import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { readFileSync, statSync } from 'node:fs'
import { connect, isIP } from 'node:net'

export interface Server {
  readonly address: string
  readonly port: number
}

const timeoutMs = 2000
const rereadMs = 1000
const tcpLimitBytes = 65_535

/** The name servers of a resolv.conf, read again when it changed; those in `except` (berth itself) are left out. */
export function resolvConf(path: string, except: readonly string[]): () => readonly Server[] {
  let servers: readonly Server[] = []
  let stamp = ''
  let looked = 0
  return () => {
    if (Date.now() - looked < rereadMs) return servers
    looked = Date.now()
    try {
      const { mtimeMs, ino } = statSync(path)
      if (stamp === `${mtimeMs} ${ino}`) return servers
      servers = parseResolvConf(readFileSync(path, 'utf8')).filter(({ address }) => !except.includes(address))
      stamp = `${mtimeMs} ${ino}`
    } catch {
      servers = []
      stamp = ''
    }
    return servers
  }
}

/** `nameserver` lines, as resolv.conf(5) has them. */
function parseResolvConf(text: string): Server[] {
  return text
    .split('\n')
    .map((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? '')
    .filter((address) => isIP(address) !== 0)
    .map((address) => ({ address, port: 53 }))
}

/**
 * Asks one server after another; the answer with the query's own id and who gave it, or nothing when none answered.
 */
export async function forward(
  query: Uint8Array,
  servers: readonly Server[],
  options: { readonly transport: 'udp' | 'tcp'; readonly signal: AbortSignal },
): Promise<{ readonly answer: Uint8Array; readonly server: Server } | undefined> {
  const ask = options.transport === 'udp' ? askUdp : askTcp
  for (const server of servers) {
    if (options.signal.aborted) return undefined
    /* An id of our own, from a port of our own: an answer cannot be guessed. */
    const asked = Buffer.from(query)
    asked.writeUInt16BE(randomInt(0x10000), 0)
    const answer = await ask(asked, server, options.signal)
    if (!answer) continue
    const own = Buffer.from(answer)
    own.set(query.subarray(0, 2), 0)
    return { answer: own, server }
  }
  return undefined
}

function askUdp(query: Buffer, server: Server, signal: AbortSignal): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIP(server.address) === 6 ? 'udp6' : 'udp4')
    const finish = (answer?: Buffer) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      socket.removeAllListeners('message')
      socket.close()
      resolve(answer)
    }
    const abort = () => finish()
    const timer = setTimeout(finish, timeoutMs)
    signal.addEventListener('abort', abort, { once: true })
    socket.once('error', () => finish())
    socket.on('message', (message) => {
      if (message.length >= 12 && message.readUInt16BE(0) === query.readUInt16BE(0)) finish(message)
    })
    // By its event: a callback would be called for a failed connect too (no route), and sending then throws.
    socket.once('connect', () => socket.send(query))
    socket.connect(server.port, server.address)
  })
}

function askTcp(query: Buffer, server: Server, signal: AbortSignal): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: server.address, port: server.port, signal, timeout: timeoutMs })
    let received = Buffer.alloc(0)
    const finish = (answer?: Buffer) => {
      socket.destroy()
      resolve(answer)
    }
    socket.on('error', () => finish())
    socket.on('timeout', () => finish())
    socket.on('end', () => finish())
    socket.on('connect', () => socket.write(framed(query)))
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      const whole = received.length >= 2 ? 2 + received.readUInt16BE(0) : tcpLimitBytes
      if (received.length < whole) return
      const answer = received.subarray(2, whole)
      finish(answer.length >= 12 && answer.readUInt16BE(0) === query.readUInt16BE(0) ? answer : undefined)
    })
  })
}

/** A message as TCP carries it: be16 length | message. */
export function framed(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(2 + message.length)
  bytes.writeUInt16BE(message.length, 0)
  bytes.set(message, 2)
  return bytes
}
