import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { digestOf } from '../content/verify.ts'
import type { Credentials } from './authorizer.ts'
import { RegistryClient } from './client.ts'
import { mediaTypes } from './media.ts'
import { parseReference } from './reference.ts'

const signal = AbortSignal.timeout(30_000)
const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

type Answer = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void
interface Peer {
  readonly host: string
  /** `METHOD path`, in order. */
  readonly asked: string[]
}

/** A registry that answers as told. */
async function peer(answer: Answer): Promise<Peer> {
  const asked: string[] = []
  const server = createServer(async (request, response) => {
    if (request.url === '/v2/' && request.headers.authorization === undefined && request.method === 'GET')
      asked.push('ping')
    else asked.push(`${request.method} ${request.url}`)
    const parts: Buffer[] = []
    try {
      for await (const part of request) parts.push(part)
    } catch {
      return
    }
    answer(request, response, Buffer.concat(parts))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

function clientOf(
  options: ConstructorParameters<typeof RegistryClient>[0] & object = {},
  credentials?: Credentials,
): RegistryClient {
  const client = new RegistryClient({ credentials: async () => credentials, ...options })
  closing.push(() => client[Symbol.asyncDispose]())
  return client
}

const plain = (host: string) => ({ hosts: { [host]: { plainHttp: true } } })
const manifest = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: digestOf('{}'), size: 2 },
    layers: [],
  }),
)
const sendManifest = (response: ServerResponse) =>
  response.writeHead(200, { 'content-type': mediaTypes.ociManifest }).end(manifest)

async function bytesOf(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts)
}

describe('credentials', () => {
  it('fetches a token for the scope, keeps it, and fetches another when it is refused', async () => {
    let valid = 1
    const registry = await peer((request, response) => {
      const url = new URL(request.url ?? '', 'http://x')
      if (url.pathname === '/token') {
        expect(url.searchParams.get('service')).toBe('here')
        expect(request.headers.authorization).toBe(`Basic ${Buffer.from('me:secret').toString('base64')}`)
        return response.end(
          JSON.stringify({ token: `${url.searchParams.get('scope')} ${valid}`, expires_in: 300 }),
        )
      }
      if (request.headers.authorization === `Bearer repository:app:pull ${valid}`)
        return sendManifest(response)
      response
        .writeHead(401, {
          'www-authenticate': `Bearer realm="http://${request.headers.host}/token",service="here"`,
        })
        .end()
    })
    const client = clientOf(plain(registry.host), { username: 'me', password: 'secret' })
    const reference = parseReference(`${registry.host}/app:1`)
    await client.manifest(reference, signal)
    await client.manifest(reference, signal)
    expect(registry.asked.filter((one) => one.includes('/token')).length).toBe(1)
    valid = 2
    expect((await client.manifest(reference, signal)).digest).toBe(digestOf(manifest))
    expect(registry.asked.filter((one) => one.includes('/token')).length).toBe(2)
  })

  it('uses a refresh token by OAuth', async () => {
    const registry = await peer((request, response, body) => {
      if (request.url === '/token') {
        const form = new URLSearchParams(body.toString())
        expect([form.get('grant_type'), form.get('refresh_token')]).toEqual(['refresh_token', 'r'])
        return response.end(JSON.stringify({ access_token: 'good' }))
      }
      if (request.headers.authorization === 'Bearer good') return sendManifest(response)
      response
        .writeHead(401, { 'www-authenticate': `Bearer realm="http://${request.headers.host}/token"` })
        .end()
    })
    await clientOf(plain(registry.host), { identityToken: 'r' }).manifest(
      parseReference(`${registry.host}/app`),
      signal,
    )
  })

  it('uses Basic, and tells UNAUTHORIZED without going round in circles', async () => {
    const registry = await peer((request, response) => {
      if (request.headers.authorization === `Basic ${Buffer.from('me:pass:word').toString('base64')}`)
        return sendManifest(response)
      response
        .writeHead(401, { 'www-authenticate': 'Basic realm="x"' })
        .end('{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}')
    })
    const reference = parseReference(`${registry.host}/app`)
    await clientOf(plain(registry.host), { username: 'me', password: 'pass:word' }).manifest(
      reference,
      signal,
    )
    for (const credentials of [undefined, { username: 'me', password: 'wrong' }]) {
      registry.asked.length = 0
      await expect(
        clientOf(plain(registry.host), credentials).manifest(reference, signal),
      ).rejects.toMatchObject({ code: 'UNAUTHORIZED', hint: expect.stringContaining('berth registry login') })
      expect(registry.asked.length).toBeLessThan(4)
    }
  })

  it('keeps the token at home when a blob lies elsewhere', async () => {
    const blob = Buffer.from('blob')
    const store = await peer((request, response) => {
      expect(request.headers.authorization).toBeUndefined()
      response.end(blob)
    })
    const registry = await peer((request, response) => {
      if (request.headers.authorization === undefined)
        return response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
      response.writeHead(307, { location: `http://${store.host}/blob` }).end()
    })
    const client = clientOf(plain(registry.host), { username: 'a', password: 'b' })
    expect(
      await bytesOf(
        client.blob(parseReference(`${registry.host}/app`), { digest: digestOf(blob) }, { signal }),
      ),
    ).toEqual(blob)
  })
})

describe('failures', () => {
  it('tries again after 429 and 503, and after a reset', async () => {
    let times = 0
    const registry = await peer((request, response) => {
      times++
      if (times === 1) return response.writeHead(429, { 'retry-after': '0' }).end()
      if (times === 2) return request.socket.destroy()
      if (times === 3) return response.writeHead(503).end()
      sendManifest(response)
    })
    await clientOf(plain(registry.host)).manifest(parseReference(`${registry.host}/app`), signal)
    expect(times).toBe(4)
  })

  it('takes no manifest that is not its digest, and none without end', async () => {
    const registry = await peer((request, response) => {
      if (request.url?.includes('large')) return response.end(Buffer.alloc(5 << 20))
      sendManifest(response)
    })
    const client = clientOf(plain(registry.host))
    const wrong = { ...parseReference(`${registry.host}/app`), digest: digestOf('another') }
    await expect(client.manifest(wrong, signal)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    await expect(client.manifest(parseReference(`${registry.host}/large`), signal)).rejects.toThrow(
      'more than 4194304 bytes',
    )
  })

  it('names a registry that is not there, at once', async () => {
    const started = performance.now()
    await expect(clientOf().manifest(parseReference('127.0.0.1:1/app'), signal)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('cannot reach registry 127.0.0.1:1'),
    })
    expect(performance.now() - started).toBeLessThan(1000)
  })

  it('stops when it is told to', async () => {
    const registry = await peer((_, response) => void response.writeHead(429, { 'retry-after': '30' }).end())
    const abort = new AbortController()
    setTimeout(() => abort.abort(new Error('enough')), 50)
    await expect(
      clientOf(plain(registry.host)).manifest(parseReference(`${registry.host}/app`), abort.signal),
    ).rejects.toThrow()
  })
})

describe('blobs', () => {
  const blob = randomBytes(500_000)
  const digest = digestOf(blob)

  for (const ranges of [true, false]) {
    it(`goes on after cut connections, ${ranges ? 'with' : 'without'} Range`, async () => {
      let cuts = 3
      const registry = await peer((request, response) => {
        const start = ranges ? Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0) : 0
        const rest = blob.subarray(start)
        const partial =
          start > 0 ? { 'content-range': `bytes ${start}-${blob.length - 1}/${blob.length}` } : {}
        response.writeHead(start > 0 ? 206 : 200, { 'content-length': String(rest.length), ...partial })
        if (cuts-- > 0)
          response.write(rest.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 10))
        else response.end(rest)
      })
      const client = clientOf(plain(registry.host))
      const reference = parseReference(`${registry.host}/app`)
      expect(
        (await bytesOf(client.blob(reference, { digest, sizeBytes: blob.length }, { signal }))).equals(blob),
      ).toBe(true)
      const rest = await bytesOf(
        client.blob(reference, { digest, sizeBytes: blob.length }, { signal, offset: 400_000 }),
      )
      expect(rest.equals(blob.subarray(400_000))).toBe(true)
    })
  }

  it('ends with an error when the bytes are others, fewer or more', async () => {
    for (const wrong of [randomBytes(blob.length), blob.subarray(1), Buffer.concat([blob, blob])]) {
      const registry = await peer((_, response) => void response.end(wrong))
      const read = bytesOf(
        clientOf(plain(registry.host)).blob(
          parseReference(`${registry.host}/app`),
          { digest, sizeBytes: blob.length },
          { signal },
        ),
      )
      await expect(read).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    }
  })
})

describe('mirrors', () => {
  it('are asked first, for reads only, and fallen back from', async () => {
    const origin = await peer((request, response) => {
      if (request.method === 'PUT') return response.writeHead(201).end()
      sendManifest(response)
    })
    let good = true
    const mirror = await peer((_, response) =>
      good ? sendManifest(response) : void response.writeHead(404).end(),
    )
    const hosts = {
      [origin.host]: { plainHttp: true, mirrors: [`http://${mirror.host}/`, 'http://127.0.0.1:1'] },
    }
    const client = clientOf({ hosts })
    const reference = parseReference(`${origin.host}/app:1`)
    await client.manifest(reference, signal)
    expect(origin.asked.length).toBe(0)
    good = false
    await client.manifest(reference, signal)
    expect(origin.asked).toEqual(['GET /v2/app/manifests/1'])
    await client.putManifest(reference, { mediaType: mediaTypes.ociManifest, bytes: manifest }, signal)
    expect(mirror.asked.some((one) => one.startsWith('PUT'))).toBe(false)
  })

  it('that know it is not there outweigh a registry that cannot be reached', async () => {
    const mirror = await peer((_, response) => void response.writeHead(404).end())
    const hosts = {
      'docker.io': { mirrors: [`http://${mirror.host}`] },
      '127.0.0.1:1': { mirrors: [`http://${mirror.host}`] },
    }
    await expect(
      clientOf({ hosts }).manifest(parseReference('127.0.0.1:1/app'), signal),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})

it('follows pages of tags, on the same host only', async () => {
  const registry = await peer((request, response) => {
    const last = new URL(request.url ?? '', 'http://x').searchParams.get('last')
    const next =
      last === null ? '</v2/app/tags/list?n=2&last=b>; rel="next"' : '<http://127.0.0.1:1/evil>; rel="next"'
    response
      .writeHead(200, { link: next })
      .end(JSON.stringify({ name: 'app', tags: last === null ? ['a', 'b'] : ['c'] }))
  })
  expect(await clientOf(plain(registry.host)).tags(parseReference(`${registry.host}/app`), signal)).toEqual([
    'a',
    'b',
    'c',
  ])
})
