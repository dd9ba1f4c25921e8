import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { kinds } from '../object/kinds.ts'
import { ObjectStore } from '../store/objects.ts'
import { createKubernetesApi } from './http.ts'
import type { PodSession } from './pods.ts'

class FakeSession implements PodSession {
  readonly stdin = new PassThrough()
  readonly stdout = new PassThrough()
  readonly stderr = new PassThrough()
  readonly sizes: string[] = []
  readonly #exited = Promise.withResolvers<{ code: number }>()
  readonly exited = this.#exited.promise
  closed = false

  async resize(rows: number, columns: number): Promise<void> {
    this.sizes.push(`${rows}x${columns}`)
  }

  exit(code: number): void {
    this.stdout.end()
    this.stderr.end()
    this.#exited.resolve({ code })
  }

  close(): void {
    this.closed = true
    this.exit(137)
  }
}

let server: Server
let session: FakeSession
let base: string
let commands: (readonly string[])[]

beforeEach(async () => {
  session = new FakeSession()
  commands = []
  const objects = new ObjectStore()
  await objects.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } })
  const api = createKubernetesApi({
    objects,
    kinds,
    clock: { now: Date.now },
    log: () => undefined,
    serviceSubnet: '10.211.0.0/16',
    version: '0.0.0',
    pods: {
      logs: async function* () {},
      exec: async (_pod, { command }) => {
        if (command[0] === 'nosuch') throw new Error('"nosuch": not found in $PATH')
        commands.push(command)
        return session
      },
      attach: async () => session,
    },
  })
  const pod = { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] } }
  await api.writes.create(pod, {
    kind: kinds.find((k) => k.kind === 'Pod') as never,
    namespace: 'default',
    manager: 't',
  })
  server = createServer(api.handle).on('upgrade', api.upgrade)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  base = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/namespaces/default/pods`
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

function connect(path: string, protocol = 'v5.channel.k8s.io') {
  const socket = new WebSocket(`${base}/${path}`, protocol)
  const received = new Map<number, string>()
  socket.on('message', (data: Buffer) => {
    const channel = data[0] ?? -1
    received.set(channel, (received.get(channel) ?? '') + data.subarray(1).toString())
  })
  return { socket, received }
}
const frame = (channel: number, text: string | Uint8Array) =>
  Buffer.concat([Uint8Array.of(channel), Buffer.from(text)])
const all = 'stdin=true&stdout=true&stderr=true'

describe('exec over WebSocket', () => {
  it.each(['v4.channel.k8s.io', 'v5.channel.k8s.io'])('joins the streams in %s', async (protocol) => {
    const { socket, received } = connect(`p/exec?command=a&command=b%20c&tty=true&${all}`, protocol)
    await once(socket, 'open')
    expect(socket.protocol).toBe(protocol)
    socket.send(frame(4, '{"Width":80,"Height":24}'))
    socket.send(frame(4, 'nonsense'))
    socket.send(frame(0, 'in'))
    expect(String((await once(session.stdin, 'data'))[0])).toBe('in')
    session.stdout.write('out')
    session.exit(3)
    await once(socket, 'close')
    expect(commands).toEqual([['a', 'b c']])
    expect(session.sizes).toEqual(['24x80'])
    expect(received.get(1)).toBe('out')
    expect(JSON.parse(received.get(3) ?? '')).toMatchObject({
      status: 'Failure',
      reason: 'NonZeroExitCode',
      details: { causes: [{ reason: 'ExitCode', message: '3' }] },
    })
  })

  it('tells on the connection why there is no session', async () => {
    const { socket, received } = connect(`p/exec?command=nosuch&${all}`)
    await once(socket, 'close')
    expect(JSON.parse(received.get(3) ?? '')).toMatchObject({
      status: 'Failure',
      reason: 'InternalError',
      message: 'Internal error occurred: error executing command in container: "nosuch": not found in $PATH',
    })
  })

  it('ends stdin, keeps stderr apart, tells success', async () => {
    const { socket, received } = connect(`p/attach?${all}`)
    await once(socket, 'open')
    socket.send(Buffer.from([255, 0]))
    await once(session.stdin, 'finish')
    session.stderr.write('oops')
    session.exit(0)
    await once(socket, 'close')
    expect(received.get(2)).toBe('oops')
    expect(JSON.parse(received.get(3) ?? '')).toMatchObject({ status: 'Success' })
  })

  it('ends the session when the client leaves', async () => {
    const { socket } = connect(`p/attach?${all}`)
    await once(socket, 'open')
    socket.terminate()
    await session.exited
    expect(session.closed).toBe(true)
  })

  it('holds back what a client does not read', async () => {
    const { socket } = connect(`p/attach?${all}`)
    await once(socket, 'open')
    socket.pause()
    const chunk = Buffer.alloc(64 * 1024)
    let written = 0
    while (written < 64 * 1024 * 1024 && session.stdout.write(chunk)) {
      written += chunk.length
      await new Promise(setImmediate)
    }
    expect(written).toBeLessThan(64 * 1024 * 1024)
    socket.terminate()
  })

  it.each([
    ['no such pod', 'q/exec?command=a&stdout=true', 404],
    ['no such container', 'p/exec?command=a&stdout=true&container=x', 400],
    ['no command', 'p/exec?stdout=true', 400],
    ['no streams', 'p/exec?command=a', 400],
    ['no connection', 'p/log', 501],
  ])('refuses %s in HTTP', async (_, path, code) => {
    const { socket } = connect(path)
    const [, response] = await once(socket, 'unexpected-response')
    expect(response.statusCode).toBe(code)
    let text = ''
    for await (const piece of response) text += piece
    expect(JSON.parse(text)).toMatchObject({ kind: 'Status', code })
    socket.on('error', () => undefined)
    socket.terminate()
  })
})
