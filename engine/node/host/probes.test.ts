import { createServer } from 'node:http'
import { createServer as createHttp2 } from 'node:http2'
import type { AddressInfo, Server } from 'node:net'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Container, Pod } from '../../object/types.generated.ts'
import type { ContainerEngine } from '../ports.ts'
import { type ProbeTarget, tryHandler } from './probes.ts'

const servers: Server[] = []
const seen: string[] = []
let http = 0
let grpc = 0

async function listen(server: Server): Promise<number> {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

beforeAll(async () => {
  http = await listen(
    createServer((request, response) => {
      seen.push(`${request.headers.host} ${request.headers['x-a'] ?? ''}`)
      if (request.url === '/never') return
      response.writeHead(Number(request.url?.slice(1)) || 200).end('body')
    }),
  )
  const server = createHttp2()
  server.on('stream', (stream, headers) => {
    stream.on('data', () => undefined)
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
      const good = headers[':path'] === '/grpc.health.v1.Health/Check'
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, good ? 1 : 2]))
    })
  })
  grpc = await listen(server)
})

afterAll(() => {
  for (const server of servers) server.close()
})

function engineWith(code: number, output: string, delayMs = 0): ContainerEngine {
  return {
    exec: async () => {
      const [stdout, stderr] = [new PassThrough(), new PassThrough()]
      stdout.write(output)
      const exited = new Promise<{ code: number }>((resolve) => setTimeout(() => resolve({ code }), delayMs))
      return {
        stdin: new PassThrough(),
        stdout,
        stderr,
        pid: 1,
        exited,
        signal: async () => undefined,
        resize: async () => undefined,
        close: () => undefined,
      }
    },
  } as unknown as ContainerEngine
}

const container: Container = { name: 'a', ports: [{ name: 'web', containerPort: 1 }] }
const outcome = (handler: object, engine = engineWith(0, ''), timeoutMs = 300) => {
  const target: ProbeTarget = {
    pod: {} as Pod,
    container: { ...container, ports: [{ name: 'web', containerPort: http }] },
    containerId: 'c',
    address: '127.0.0.1',
  }
  return tryHandler(handler, target, { engine, timeoutMs, signal: new AbortController().signal })
}

describe('a probe', () => {
  it('takes 200 to 399 for good, by number or name of the port, with its headers', async () => {
    expect(await outcome({ httpGet: { port: http, path: '/204' } })).toMatchObject({ good: true })
    const httpHeaders = [
      { name: 'Host', value: 'shop.test' },
      { name: 'X-A', value: 'b' },
    ]
    expect(await outcome({ httpGet: { port: 'web', path: '/302', httpHeaders } })).toMatchObject({
      good: true,
    })
    expect(seen.at(-1)).toBe('shop.test b')
    expect(await outcome({ httpGet: { port: http, path: '/503' } })).toEqual({
      good: false,
      message: 'HTTP probe failed with statuscode: 503',
    })
    expect(await outcome({ httpGet: { port: 'none' } })).toEqual({
      good: false,
      message: "couldn't find port: none",
    })
  })

  it('fails when there is no answer in time, or nobody', async () => {
    expect(await outcome({ httpGet: { port: http, path: '/never' } })).toMatchObject({
      good: false,
      message: expect.stringContaining('timed out'),
    })
    expect(await outcome({ tcpSocket: { port: 1 } })).toMatchObject({
      good: false,
      message: expect.stringContaining('dial tcp 127.0.0.1:1'),
    })
    expect(await outcome({ tcpSocket: { port: http } })).toMatchObject({ good: true })
  })

  it('asks a gRPC server for its health', async () => {
    expect(await outcome({ grpc: { port: grpc, service: 'a' } })).toMatchObject({ good: true })
    expect(await outcome({ grpc: { port: 1 } })).toMatchObject({ good: false })
  })

  it('goes by the exit code of a command, and tells its output', async () => {
    expect(await outcome({ exec: { command: ['x'] } })).toMatchObject({ good: true })
    expect(await outcome({ exec: { command: ['x'] } }, engineWith(2, 'no such file'))).toEqual({
      good: false,
      message: 'no such file',
    })
    expect(await outcome({ exec: { command: ['x'] } }, engineWith(0, '', 200), 50)).toMatchObject({
      good: false,
    })
  })
})
