import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { scaledMs } from '../../../test/support/time.ts'
import { type LayerInput, makeImage } from '../../../test/tools/make-image.ts'
import { packageRoot } from '../../base/host/entry.ts'
import { digestOf } from '../../content/verify.ts'
import { RegistryClient } from '../../distribution/client.ts'
import { mediaTypes } from '../../distribution/media.ts'
import { parseReference } from '../../distribution/reference.ts'
import { type ServingRegistry, serveRegistry } from '../../registry/server.ts'
import { MemoryCollection } from '../../store/collection.ts'
import type { ImageRecord } from '../image.ts'
import type { LayerProgress } from '../progress.ts'
import type { ImageUser } from '../remove.ts'
import { Images } from './images.ts'
import type { LayerRecord } from './layers.ts'

const signal = AbortSignal.timeout(scaledMs(60_000))
let top: string
let registry: ServingRegistry
let records: { images: MemoryCollection<ImageRecord>; layers: MemoryCollection<LayerRecord> }
let users: ImageUser[]
const opened: Images[] = []

beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), 'berth-images-'))
  registry = await serveRegistry({ address: '127.0.0.1:0', root: join(top, 'registry'), anonymous: 'write' })
  records = { images: new MemoryCollection(), layers: new MemoryCollection() }
  users = []
})
afterEach(async () => {
  for (const images of opened.splice(0)) await images[Symbol.asyncDispose]()
  await registry[Symbol.asyncDispose]()
  await rm(top, { recursive: true, force: true })
})

async function open(mirror = `http://${registry.address}`): Promise<Images> {
  const images = await Images.open({
    root: join(top, 'root'),
    ...records,
    launcher: join(packageRoot(), 'dist/launcher'),
    hosts: { 'docker.io': { mirrors: [mirror] } },
    users: () => users,
  })
  opened.push(images)
  return images
}

const base = { files: { 'etc/hello': { content: 'from the base' }, 'etc/gone': { content: 'gone' } } }
const upper = {
  files: { 'etc/.wh.gone': { content: '' }, 'bin/tool': { content: 'x'.repeat(200_000), mode: 0o755 } },
}
const make = (ref: string, layers: LayerInput[] = [base, upper], config = {}) =>
  makeImage({ ref: `${registry.address}/${ref}`, layers, config: { Cmd: ['tool'], ...config }, signal })
const layerFolders = async () => (await readdir(join(top, 'root/layers'))).sort()
const blobs = async () => (await readdir(join(top, 'root/content/blobs/sha256'))).length

/** A proxy before the registry that cuts blobs after some bytes, `cuts` times. */
async function cutting(
  cuts: number,
  afterBytes: number,
): Promise<{ url: string; requests: string[]; close: () => void }> {
  let left = cuts
  const requests: string[] = []
  const server = createServer(async (request, response) => {
    requests.push(`${request.url} ${request.headers.range ?? ''}`.trim())
    const answer = await fetch(`http://${registry.address}${request.url}`, {
      headers: request.headers.range ? { range: request.headers.range } : {},
    })
    const body = Buffer.from(await answer.arrayBuffer())
    response.writeHead(answer.status, {
      ...Object.fromEntries(answer.headers),
      'content-length': String(body.length),
    })
    if (!request.url?.includes('/blobs/') || body.length < afterBytes || left-- <= 0)
      return response.end(body)
    response.write(body.subarray(0, afterBytes), () => setTimeout(() => response.destroy(), 20))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () => server.close(),
  }
}

describe('damage on disk', () => {
  it('is mended by the next pull', async () => {
    await make('library/app:1')
    const first = await open()
    const { id } = await first.pull('app:1', { signal })
    await first[Symbol.asyncDispose]()
    const folder = join(top, 'root/content/blobs/sha256')
    for (const name of await readdir(folder)) {
      const bytes = await readFile(join(folder, name))
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
      await writeFile(join(folder, name), bytes)
    }
    for (const name of await layerFolders())
      await rm(join(top, 'root/layers', name), { recursive: true, force: true })
    const second = await open()
    expect((await second.pull('app:1', { signal })).id).toBe(id)
    const { folder: layers, lower } = await second.rootfs(id)
    expect(await readFile(join(layers, lower.at(-1) ?? '', 'etc/hello'), 'utf8')).toBe('from the base')
    for (const name of await readdir(folder))
      expect(digestOf(await readFile(join(folder, name)))).toBe(`sha256:${name}`)
  })
})

describe('Images', () => {
  it('pulls by a mirror of docker.io, unpacks, and finds the image by its names', async () => {
    const made = await make('library/app:1')
    const images = await open()
    const events: LayerProgress[] = []
    const image = await images.pull('app:1', { signal, onProgress: (event) => events.push(event) })
    expect(image).toMatchObject({
      id: made.id,
      names: ['docker.io/library/app:1'],
      digests: [`docker.io/library/app@${made.digest}`],
    })
    expect(image.config.config?.Cmd).toEqual(['tool'])
    const { folder, lower } = await images.rootfs(image.id)
    expect(lower.length).toBe(2)
    const [first = '', second = ''] = lower
    expect(await readFile(join(folder, second, 'etc/hello'), 'utf8')).toBe('from the base')
    expect((await stat(join(folder, first, 'etc/gone'))).isCharacterDevice()).toBe(true)
    expect((await stat(join(folder, first, 'bin/tool'))).mode & 0o7777).toBe(0o755)
    for (const word of [
      'app:1',
      'docker.io/library/app:1',
      made.id,
      made.id.slice(7, 19),
      `app@${made.digest}`,
    ]) {
      expect(images.get(word)?.id, word).toBe(made.id)
    }
    expect(images.get('app')).toBeUndefined()
    const states = (layer: string | undefined) => [
      ...new Set(events.filter((one) => one.layer === layer).map((one) => one.state)),
    ]
    for (const layer of image.layers)
      expect(states(layer.digest)).toEqual(['waiting', 'downloading', 'downloaded', 'extracting', 'done'])
    events.length = 0
    await images.pull('app:1', { signal, onProgress: (event) => events.push(event) })
    expect(events.map((one) => one.state)).toEqual(['exists', 'exists'])
  })

  it('goes on after cut connections, with Range', async () => {
    const content = Buffer.alloc(3_000_000, 'incompressible ').map(
      (byte, i) => byte ^ ((i * 2654435761) >>> 24),
    )
    await make('library/big', [{ files: { big: { content } } }])
    const proxy = await cutting(3, 100_000)
    const images = await open(proxy.url)
    const image = await images.pull('big', { signal })
    const { folder, lower } = await images.rootfs(image.id)
    expect((await readFile(join(folder, String(lower[0]), 'big'))).equals(content)).toBe(true)
    expect(proxy.requests.filter((one) => /bytes=\d+-$/.test(one)).length).toBe(3)
    proxy.close()
  })

  it('resumes what a killed process had, and sweeps its folders', async () => {
    const made = await make('library/app:1')
    const first = await open()
    const image = await first.pull('app:1', { signal })
    const [layer] = image.layers
    // As after a kill: the blob half there, a folder half unpacked, a folder without its record.
    const blob = join(top, 'root/content/blobs/sha256', String(layer?.digest.slice(7)))
    const bytes = await readFile(blob)
    await writeFile(
      join(top, 'root/content/ingest', String(layer?.digest.replace(':', '-'))),
      bytes.subarray(0, 40),
    )
    await rm(blob)
    records = { images: new MemoryCollection(), layers: new MemoryCollection() }
    await writeFile(join(top, 'root/layers/tmp-9'), '')
    const images = await open()
    expect(await layerFolders()).toEqual(['0'])
    expect((await images.pull('app:1', { signal })).id).toBe(made.id)
    expect((await readFile(blob)).equals(bytes)).toBe(true)
  })

  it('is killed anywhere in a pull, and the next pull ends well', async () => {
    const layers = Array.from({ length: 4 }, (_, i) => ({
      files: Object.fromEntries(
        Array.from({ length: 40 }, (_, n) => [`d${i}/f${n}`, { content: randomBytes(30_000) }]),
      ),
    }))
    const made = await make('library/app:1', layers)
    const program = `
      import { Images } from ${JSON.stringify(join(import.meta.dirname, 'images.ts'))}
      import { MemoryCollection } from ${JSON.stringify(join(packageRoot(), 'engine/store/collection.ts'))}
      const images = await Images.open({ root: process.argv[1], images: new MemoryCollection(), layers: new MemoryCollection(),
        launcher: ${JSON.stringify(join(packageRoot(), 'dist/launcher'))}, hosts: {}, users: () => [] })
      console.log('open')
      await images.pull(process.argv[2], { signal: new AbortController().signal })
      console.log('done')`
    const args = [
      '--input-type=module',
      '-e',
      program,
      join(top, 'root'),
      `${registry.address}/library/app:1`,
    ]
    for (const delayMs of [5, 20, 40, 60, 80, 120, 160]) {
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      await once(child.stdout, 'data')
      await new Promise((resolve) => setTimeout(resolve, delayMs))
      child.kill('SIGKILL')
      await once(child, 'exit')
      for (const name of await readdir(join(top, 'root/content/blobs/sha256'))) {
        expect(digestOf(await readFile(join(top, 'root/content/blobs/sha256', name)))).toBe(`sha256:${name}`)
      }
    }
    const images = await open()
    expect(await layerFolders()).toEqual(['0'])
    const image = await images.pull('app:1', { signal })
    expect(image.id).toBe(made.id)
    const { folder, lower } = await images.rootfs(image.id)
    for (const [i, layer] of layers.entries()) {
      const files = Object.entries(layer.files)
      for (const [name, { content }] of files) {
        expect((await readFile(join(folder, String(lower[3 - i]), name))).equals(content)).toBe(true)
      }
    }
    expect(await layerFolders()).toEqual(['0', ...lower].sort())
  })

  it('throws away a resumed download that does not fit', async () => {
    const { digest } = await make('library/app:1')
    const images = await open()
    await using client = new RegistryClient()
    const manifest = await client.manifest(
      { ...parseReference(`${registry.address}/library/app`), digest },
      signal,
    )
    const [layer] = JSON.parse(manifest.bytes.toString()).layers
    await writeFile(join(top, 'root/content/ingest', layer.digest.replace(':', '-')), 'holes')
    await images.pull('app:1', { signal })
  })

  it('shares the work of pulls at the same time, and lets one give up', async () => {
    await make('library/app:1')
    const proxy = await cutting(0, 0)
    const images = await open(proxy.url)
    const abort = new AbortController()
    const pulls = [
      images.pull('app:1', { signal }),
      images.pull('app:1', { signal }),
      images.pull('app:1', { signal: abort.signal }),
    ]
    const gone = expect(pulls[2]).rejects.toThrow()
    setTimeout(() => abort.abort(), 5)
    await Promise.all([pulls[0], pulls[1], gone])
    const layer = images.get('app:1')?.layers[1]?.digest
    expect(proxy.requests.filter((one) => one.includes(String(layer))).length).toBe(1)
    expect((await layerFolders()).length).toBe(3)
    proxy.close()
  })

  it('leaves nothing half when a layer is not what was promised', async () => {
    const { digest } = await make('library/app:1')
    await using client = new RegistryClient()
    const reference = parseReference(`${registry.address}/library/bad:1`)
    const manifest = JSON.parse(
      (await client.manifest({ ...reference, repository: 'library/app', digest }, signal)).bytes.toString(),
    )
    const put = async (value: unknown) => {
      const bytes = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
      const blob = digestOf(bytes)
      await client.putBlob(
        reference,
        {
          digest: blob,
          size: bytes.length,
          open: async function* () {
            yield bytes
          },
        },
        { signal },
      )
      return { digest: blob, size: bytes.length }
    }
    const layer = { ...(await put('no gzip at all')), mediaType: mediaTypes.ociLayerGzip }
    const config = {
      ...manifest.config,
      ...(await put({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [digest] } })),
    }
    await client.putManifest(
      reference,
      {
        mediaType: mediaTypes.ociManifest,
        bytes: Buffer.from(JSON.stringify({ ...manifest, config, layers: [layer] })),
      },
      signal,
    )
    const images = await open()
    await expect(images.pull('bad:1', { signal })).rejects.toMatchObject({ code: 'INVALID' })
    expect(images.list()).toEqual([])
    expect(await layerFolders()).toEqual(['0'])
    await expect(images.pull('app:9', { signal })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it("removes by docker's rules, and only what no other image and no pull needs", async () => {
    await make('library/app:1')
    await make('library/app:2', [base], { Cmd: ['other'] })
    const images = await open()
    const one = await images.pull('app:1', { signal })
    const two = await images.pull('app:2', { signal })
    await images.tag('app:1', 'mine')
    expect(await images.remove('mine')).toEqual({ untagged: ['docker.io/library/mine:latest'], deleted: [] })
    users = [{ id: 'c'.repeat(64), running: false }]
    await expect(images.remove('app:1')).rejects.toThrow(
      'conflict: unable to remove repository reference "app:1" (must force) - container cccccccccccc is using its referenced image',
    )
    users = [{ id: 'c'.repeat(64), running: true }]
    await expect(images.remove(one.id, { force: true })).rejects.toThrow(
      '(cannot be forced) - image is being used by running container cccccccccccc',
    )
    users = []
    const before = await blobs()
    expect((await images.remove('app:1')).deleted).toEqual([one.id])
    expect((await layerFolders()).length).toBe(2)
    expect(await blobs()).toBe(before - 3)
    expect((await images.rootfs(two.id)).lower.length).toBe(1)
    await images.remove(two.id.slice(7, 20))
    expect(await layerFolders()).toEqual(['0'])
    expect(await blobs()).toBe(0)
    await expect(images.remove('app')).rejects.toThrow('No such image: app:latest')
  })

  it('moves a name to the newer image, and prunes the older', async () => {
    await make('library/app:1')
    const images = await open()
    const old = await images.pull('app:1', { signal })
    const made = await make('library/app:1', [base])
    expect((await images.pull('app:1', { signal })).id).toBe(made.id)
    expect(images.get(old.id)?.names).toEqual([])
    expect(await images.prune()).toEqual([old.id])
    expect(images.list().map((one) => one.id)).toEqual([made.id])
    const again = await open()
    expect(again.list().map((one) => one.id)).toEqual([made.id])
  })

  it('pushes what it pulled, by mounting where it can', async () => {
    const made = await make('library/app:1')
    const images = await open()
    await images.pull(`${registry.address}/library/app:1`, { signal })
    await images.tag(`${registry.address}/library/app:1`, `${registry.address}/copy/app:2`)
    const events: LayerProgress[] = []
    expect(
      await images.push(`${registry.address}/copy/app:2`, {
        signal,
        onProgress: (event) => events.push(event),
      }),
    ).toBe(made.digest)
    expect([...new Set(events.map((one) => one.state))]).toEqual(['waiting', 'mounted'])
    await using client = new RegistryClient()
    expect((await client.head(parseReference(`${registry.address}/copy/app:2`), signal))?.digest).toBe(
      made.digest,
    )
    await expect(images.push('nothing:1', { signal })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(existsSync(join(top, 'root/layers/0'))).toBe(true)
  })

  it('saves what it loads, and what docker and skopeo load', async () => {
    const made = await make('library/app:1')
    const first = await open()
    const pulled = await first.pull('app:1', { signal })
    await first.tag('app:1', 'other:2')
    const parts: Buffer[] = []
    for await (const part of first.save([pulled.id], signal)) parts.push(part)
    const bytes = Buffer.concat(parts)
    for (const archive of [bytes, gzipSync(bytes)]) {
      await first.remove(made.id, { force: true })
      const [image] = await first.load(Readable.from([archive]), { signal })
      expect(image).toMatchObject({
        id: made.id,
        names: pulled.names.concat('docker.io/library/other:2'),
        manifest: pulled.manifest,
      })
      expect((await first.rootfs(made.id)).lower.length).toBe(2)
    }
    await expect(first.load(Readable.from([bytes.subarray(0, 5000)]), { signal })).rejects.toMatchObject({
      code: 'INVALID',
    })
    await expect(first.load(Readable.from([Buffer.alloc(1024)]), { signal })).rejects.toThrow(
      'neither manifest.json nor index.json',
    )
    expect(await readdir(join(top, 'root/content/ingest'))).toEqual([])
  })
})
