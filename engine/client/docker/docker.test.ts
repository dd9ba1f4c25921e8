import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseHost } from './address.ts'
import { DockerClient } from './docker.ts'
import { decodeFrames, encodeFrame } from './frames.ts'

async function gather<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

let folder = ''
const server = createServer((request, response) => {
  if (request.url === '/v1.41/ok?all=true&f=a&f=b') response.end('{"yes":1}')
  else if (request.url === '/v1.41/lines') {
    response.write('{"a":1}\n{"a"')
    setImmediate(() => response.end(':2}\n'))
  } else {
    response.statusCode = 404
    response.end('{"message":"No such container: x"}')
  }
})
server.on('upgrade', (_request, socket) => {
  socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nhello')
  socket.pipe(socket)
})

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-client-'))
  await new Promise<void>((done) => server.listen(join(folder, 's'), done))
})
afterAll(async () => {
  server.close()
  await rm(folder, { recursive: true })
})

describe('DockerClient', () => {
  const client = () => new DockerClient(join(folder, 's'))

  it('sends queries and reads JSON', async () => {
    expect(
      await client().json('GET', '/ok', { query: { all: true, none: undefined, f: ['a', 'b'] } }),
    ).toEqual({ yes: 1 })
  })

  it("gives the engine's message", async () => {
    await expect(client().json('GET', '/containers/x/json')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'No such container: x',
    })
  })

  it('reads lines cut anywhere', async () => {
    expect(await gather(client().lines('GET', '/lines'))).toEqual([{ a: 1 }, { a: 2 }])
  })

  it('takes a connection over', async () => {
    const { socket, head } = await client().hijack('/attach')
    expect(head.toString()).toBe('hello')
    socket.end('echo')
    expect(Buffer.concat(await gather(socket)).toString()).toBe('echo')
  })

  it('says how to start a daemon that is not there', async () => {
    await expect(new DockerClient('/nonexistent/s').json('GET', '/_ping')).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      hint: expect.stringContaining('berth daemon'),
    })
  })
})

describe('frames', () => {
  it('are put together from any cuts', async () => {
    const wire = Buffer.concat([
      encodeFrame('stdout', Buffer.from('one')),
      encodeFrame('stderr', Buffer.alloc(0)),
      encodeFrame('stderr', Buffer.from('two')),
    ])
    for (let cut = 1; cut < wire.length; cut++) {
      const chunks = (async function* () {
        yield wire.subarray(0, cut)
        yield wire.subarray(cut)
      })()
      const frames = await gather(decodeFrames(chunks))
      expect(frames.map((f) => `${f.stream}:${Buffer.from(f.content)}`)).toEqual([
        'stdout:one',
        'stderr:',
        'stderr:two',
      ])
    }
  })
})

describe('parseHost', () => {
  it('takes Unix sockets only', () => {
    expect(parseHost(undefined)).toBe('/run/berth/berth.sock')
    expect(parseHost('unix:///x/y')).toBe('/x/y')
    expect(() => parseHost('tcp://x')).toThrow('Cannot use "tcp://x"')
  })
})
