import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../content/verify.ts'
import { RegistryClient } from '../distribution/client.ts'
import { mediaTypes } from '../distribution/media.ts'
import { parseReference } from '../distribution/reference.ts'
import { serveEmbeddedRegistry } from './embedded.ts'
import { type ServingRegistry, serveRegistry } from './server.ts'

const signal = AbortSignal.timeout(30_000)
let root: string
const closing: (() => unknown)[] = []
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'berth-registry-'))
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
  await rm(root, { recursive: true, force: true })
})

async function serve(options: Partial<Parameters<typeof serveRegistry>[0]> = {}): Promise<ServingRegistry> {
  const registry = await serveRegistry({ address: '127.0.0.1:0', root, anonymous: 'write', ...options })
  closing.push(() => registry[Symbol.asyncDispose]())
  return registry
}

function client(credentials?: { username: string; password: string }): RegistryClient {
  const made = new RegistryClient({ credentials: async () => credentials })
  closing.push(() => made[Symbol.asyncDispose]())
  return made
}

const outgoing = (content: Buffer, pieces = 1) => ({
  digest: digestOf(content),
  size: content.length,
  open: async function* (offset: number) {
    const size = Math.ceil(content.length / pieces)
    for (let at = offset; at < content.length; at += size) yield content.subarray(at, at + size)
  },
})

async function read(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts)
}

const manifestOf = (fields: object) => ({
  mediaType: mediaTypes.ociManifest,
  bytes: Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, ...fields })),
})

describe('registry', () => {
  it('takes blobs whole and in pieces, mounts them, and gives them back', async () => {
    const { address } = await serve()
    const own = client()
    const reference = parseReference(`${address}/team/app`)
    const content = randomBytes(300_000)
    expect(await own.putBlob(reference, outgoing(content, 7), { signal })).toBe('uploaded')
    expect(await own.putBlob(reference, outgoing(content), { signal })).toBe('exists')
    const other = randomBytes(250_001)
    const sent: number[] = []
    expect(
      await own.putBlob(reference, outgoing(other), {
        signal,
        chunkBytes: 100_000,
        onProgress: (bytes) => sent.push(bytes),
      }),
    ).toBe('uploaded')
    expect(sent).toEqual([100_000, 200_000, 250_001])
    const neighbour = parseReference(`${address}/team/copy`)
    expect(await own.putBlob(neighbour, outgoing(content), { signal, mountFrom: 'team/app' })).toBe('mounted')
    expect(await own.putBlob(neighbour, outgoing(other), { signal, mountFrom: 'team/none' })).toBe('uploaded')
    expect(await own.putBlob(reference, outgoing(Buffer.alloc(0)), { signal })).toBe('uploaded')
    for (const blob of [content, other]) {
      expect(
        (
          await read(own.blob(reference, { digest: digestOf(blob), sizeBytes: blob.length }, { signal }))
        ).equals(blob),
      ).toBe(true)
    }
    expect(
      (
        await read(
          own.blob(reference, { digest: digestOf(other), sizeBytes: other.length }, { signal, offset: 9 }),
        )
      ).equals(other.subarray(9)),
    ).toBe(true)
  })

  it('keeps manifests, tags and referrers', async () => {
    const { address } = await serve()
    const own = client()
    const reference = parseReference(`${address}/app:1`)
    const config = Buffer.from('{}')
    const descriptor = { mediaType: mediaTypes.ociEmpty, digest: digestOf(config), size: 2 }
    await expect(
      own.putManifest(reference, manifestOf({ config: descriptor, layers: [] }), signal),
    ).rejects.toThrow('MANIFEST_BLOB_UNKNOWN')
    await own.putBlob(reference, outgoing(config), { signal })
    const image = manifestOf({ config: descriptor, layers: [] })
    const digest = await own.putManifest(reference, image, signal)
    expect(await own.head(reference, signal)).toEqual({ digest, mediaType: mediaTypes.ociManifest })
    expect((await own.manifest({ ...reference, digest }, signal)).bytes.equals(image.bytes)).toBe(true)
    const subject = { mediaType: mediaTypes.ociManifest, digest, size: image.bytes.length }
    for (const artifactType of ['application/sig', 'application/sbom']) {
      const artifact = manifestOf({ artifactType, config: descriptor, layers: [], subject })
      await own.putManifest(
        { registry: address, repository: 'app', digest: digestOf(artifact.bytes) },
        artifact,
        signal,
      )
    }
    const at = { registry: address, repository: 'app', digest }
    expect((await own.referrers(at, { signal })).length).toBe(2)
    expect(
      (await own.referrers(at, { signal, artifactType: 'application/sig' })).map((one) => one.artifactType),
    ).toEqual(['application/sig'])
    expect(await own.tags(reference, signal)).toEqual(['1'])
    await own.removeManifest(at, signal)
    expect(await own.head(reference, signal)).toBeUndefined()
    expect(await own.tags(reference, signal)).toEqual([])
    await expect(own.tags(parseReference(`${address}/none`), signal)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      details: { registryCode: 'NAME_UNKNOWN' },
    })
  })

  it('lets an upload go on after its connection was cut', async () => {
    const { address } = await serve()
    const content = randomBytes(200_000)
    const started = await fetch(`http://${address}/v2/app/blobs/uploads/`, { method: 'POST' })
    const location = String(started.headers.get('location'))
    await new Promise<void>((resolve) => {
      const socket = connect(Number(address.split(':')[1]), '127.0.0.1')
      socket.write(`PATCH ${location} HTTP/1.1\r\nhost: x\r\ncontent-length: ${content.length}\r\n\r\n`)
      socket.write(content.subarray(0, 50_000), () => setTimeout(() => socket.destroy(), 50))
      socket.once('close', () => resolve())
    })
    const status = await fetch(`http://${address}${location}`)
    expect(status.headers.get('range')).toBe('0-49999')
    const wrong = await fetch(`http://${address}${location}`, {
      method: 'PATCH',
      headers: { 'content-range': '10-19' },
      body: content.subarray(10, 20),
    })
    expect([wrong.status, wrong.headers.get('range')]).toEqual([416, '0-49999'])
    const rest = await fetch(`http://${address}${location}?digest=${digestOf(content)}`, {
      method: 'PUT',
      headers: { 'content-range': '50000-199999' },
      body: content.subarray(50_000),
    })
    expect(rest.status).toBe(201)
    const other = await fetch(`http://${address}${location.replace('/app/', '/other/')}`)
    expect(other.status).toBe(404)
  })

  it('has users, who write, and others, who read', async () => {
    const htpasswd = join(root, 'htpasswd')
    await writeFile(htpasswd, 'me:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n')
    const { address } = await serve({ anonymous: 'read', htpasswd })
    const reference = parseReference(`${address}/app`)
    const content = randomBytes(100)
    await expect(client().putBlob(reference, outgoing(content), { signal })).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
    })
    await expect(client({ username: 'me', password: 'wrong' }).ping(address, signal)).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
    })
    const me = client({ username: 'me', password: 'secret' })
    await me.ping(address, signal)
    await me.putBlob(reference, outgoing(content), { signal })
    expect(
      (await read(client().blob(reference, { digest: digestOf(content) }, { signal }))).equals(content),
    ).toBe(true)
    const closed = await serve({ anonymous: 'none', htpasswd })
    await expect(client().tags(parseReference(`${closed.address}/app`), signal)).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
    })
    await client({ username: 'me', password: 'secret' }).ping(closed.address, signal)
    const open = await serve({ anonymous: 'read' })
    await expect(
      client().putBlob(parseReference(`${open.address}/new`), outgoing(content), { signal }),
    ).rejects.toMatchObject({ code: 'FORBIDDEN', message: expect.stringContaining('--htpasswd') })
  })

  it('inside the daemon lets anyone read, and write who knows its credentials, which stay', async () => {
    const [first, second] = [
      await serveEmbeddedRegistry({ address: '127.0.0.1:0', root }),
      await serveEmbeddedRegistry({ address: '127.0.0.1:0', root }),
    ]
    closing.push(
      () => first[Symbol.asyncDispose](),
      () => second[Symbol.asyncDispose](),
    )
    expect(second.credentials).toEqual(first.credentials)
    expect((await stat(join(root, 'credentials'))).mode & 0o777).toBe(0o600)
    const reference = parseReference(`${first.address}/app`)
    const content = randomBytes(10)
    await expect(client().putBlob(reference, outgoing(content), { signal })).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
    })
    await client(second.credentials).putBlob(reference, outgoing(content), { signal })
    expect(
      (await read(client().blob(reference, { digest: digestOf(content) }, { signal }))).equals(content),
    ).toBe(true)
  })

  it('cuts the connection rather than send a blob that the disk damaged', async () => {
    const { address } = await serve()
    const content = randomBytes(1000)
    const reference = parseReference(`${address}/app`)
    await client().putBlob(reference, outgoing(content), { signal })
    await writeFile(join(root, 'blobs/sha256', digestOf(content).slice(7)), randomBytes(1000))
    await expect(
      fetch(`http://${address}/v2/app/blobs/${digestOf(content)}`).then((answer) => answer.arrayBuffer()),
    ).rejects.toThrow()
  })

  it('forgets what no repository has, once it is old', async () => {
    const first = await serve()
    const content = randomBytes(10)
    const kept = randomBytes(10)
    for (const blob of [content, kept])
      await client().putBlob(parseReference(`${first.address}/app`), outgoing(blob), { signal })
    await fetch(`http://${first.address}/v2/app/blobs/${digestOf(content)}`, { method: 'DELETE' })
    await serve()
    expect((await readdir(join(root, 'blobs/sha256'))).length).toBe(2)
    const old = new Date(Date.now() - 25 * 3600_000)
    for (const name of await readdir(join(root, 'blobs/sha256')))
      await utimes(join(root, 'blobs/sha256', name), old, old)
    await serve()
    expect(await readdir(join(root, 'blobs/sha256'))).toEqual([digestOf(kept).slice(7)])
  })

  it('says why it cannot listen', async () => {
    const { address } = await serve()
    await expect(serve({ address })).rejects.toThrow(`Cannot listen on ${address}: another program does`)
    await expect(serve({ address: 'nonsense' })).rejects.toMatchObject({ code: 'INVALID' })
  })
})

describe('a registry that is killed', () => {
  const program = `
    import { serveRegistry } from ${JSON.stringify(join(import.meta.dirname, 'server.ts'))}
    const registry = await serveRegistry({ address: process.argv[1], root: process.argv[2], anonymous: 'write' })
    console.log(registry.address)`
  async function start(address: string): Promise<{ child: ChildProcess; address: string }> {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, address, root], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    closing.push(() => child.kill('SIGKILL'))
    const bound = await new Promise<string>((resolve, reject) => {
      child.stdout?.once('data', (text: Buffer) => resolve(text.toString().trim()))
      child.once('exit', reject)
    })
    return { child, address: bound }
  }

  it('has only whole blobs and manifests afterwards, and uploads go on', async () => {
    let { child, address } = await start('127.0.0.1:0')
    const blobs = Array.from({ length: 6 }, () => randomBytes(400_000))
    let pushed = 0
    const push = async () => {
      for (const blob of blobs) {
        await client().putBlob(parseReference(`${address}/app`), outgoing(blob, 20), {
          signal,
          chunkBytes: 50_000,
        })
        pushed++
      }
    }
    const work = push().then(
      () => true,
      () => false,
    )
    for (let kills = 0; kills < 3; kills++) {
      await new Promise((resolve) => setTimeout(resolve, 60))
      child.kill('SIGKILL')
      await new Promise((resolve) => child.once('exit', resolve))
      for (const name of await readdir(join(root, 'blobs/sha256'))) {
        expect(digestOf(await readFile(join(root, 'blobs/sha256', name)))).toBe(`sha256:${name}`)
      }
      ;({ child } = await start(address))
    }
    // The client may have given up while the registry was away; what it pushed is there, and it can push the rest.
    if (!(await work)) await push()
    expect(pushed).toBeGreaterThanOrEqual(blobs.length)
    for (const blob of blobs) {
      expect(
        (
          await read(client().blob(parseReference(`${address}/app`), { digest: digestOf(blob) }, { signal }))
        ).equals(blob),
      ).toBe(true)
    }
  })
})
