import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createKubernetesApi, type KubernetesApi } from '../api/http.ts'
import { kinds } from '../object/kinds.ts'
import { ObjectStore } from '../store/objects.ts'
import { HttpTransport } from './http-transport.ts'
import { inProcessTransport } from './in-process-transport.ts'
import { KubernetesClient } from './kubernetes-client.ts'
import type { WatchEvent } from './watch.ts'

const never = new AbortController().signal
let folder: string
let socketPath: string
let objects: ObjectStore
let api: KubernetesApi
let server: Server
let open: Set<ServerResponse>

async function listen(): Promise<void> {
  server = createServer((request, response) => {
    open.add(response)
    response.once('close', () => open.delete(response))
    api.handle(request, response)
  })
  server.listen(socketPath)
  await once(server, 'listening')
}

async function close(): Promise<void> {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-client-'))
  socketPath = join(folder, 's')
  open = new Set()
  objects = new ObjectStore({ historyLimit: 8 })
  await objects.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } })
  api = createKubernetesApi({
    objects,
    kinds,
    clock: { now: Date.now },
    log: () => undefined,
    serviceSubnet: '10.211.0.0/16',
    version: '0.0.0',
  })
  await listen()
})
afterEach(async () => {
  await close()
  await rm(folder, { recursive: true })
})

const map = (name: string, data: Record<string, string> = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default' },
  data,
})
const ref = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', namespace: 'default', name })

describe.each(['over a socket', 'in the process'])('the client %s', (where) => {
  const opened = (onWarning?: (text: string) => void) =>
    new KubernetesClient(
      where === 'in the process' ? inProcessTransport(api.serve) : new HttpTransport({ socketPath }),
      { fieldManager: 'test', ...(onWarning ? { onWarning } : {}) },
    )

  it('creates, reads, patches, applies, lists, removes', async () => {
    const client = opened()
    const made = await client.create(map('a', { x: '1' }), {}, never)
    expect(await client.get(ref('a'), never)).toEqual(made)
    const patched = await client.patch<typeof made>(
      ref('a'),
      { type: 'merge', body: { data: { y: '2' } } },
      never,
    )
    expect(patched.data).toEqual({ x: '1', y: '2' })
    await expect(client.apply(map('a', { x: '3' }), { fieldManager: 'other' }, never)).rejects.toMatchObject({
      code: 'CONFLICT',
    })
    const applied = await client.apply(map('a', { x: '3' }), { fieldManager: 'other', force: true }, never)
    expect(applied.data.x).toBe('3')
    const updated = await client.update({ ...applied, data: { z: '1' } }, {}, never)
    expect(updated.data).toEqual({ z: '1' })
    for (const name of ['b', 'c']) await client.create(map(name), {}, never)
    const list = await client.list({ apiVersion: 'v1', kind: 'ConfigMap' }, {}, never)
    expect(list.items.map((o) => o.metadata.name)).toEqual(['a', 'b', 'c'])
    await client.remove(ref('a'), {}, never)
    expect(await client.find(ref('a'), never)).toBeUndefined()
  })

  it('throws what the server says', async () => {
    const client = opened()
    await expect(client.get(ref('none'), never)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'configmaps "none" not found',
      details: { reason: 'NotFound', status: 404 },
    })
    await expect(client.get({ ...ref('a'), kind: 'Nothing' }, never)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'no matches for kind "Nothing" in version "v1"',
    })
    await expect(client.create(map('A B'), {}, never)).rejects.toMatchObject({ code: 'UNPROCESSABLE' })
    await expect(client.get({ apiVersion: 'v1', kind: 'ConfigMap', name: 'x' }, never)).rejects.toMatchObject(
      {
        code: 'INVALID',
      },
    )
  })

  it('passes warnings on', async () => {
    const warnings: string[] = []
    const client = opened((text) => warnings.push(text))
    await client.create({ ...map('a'), oddity: 1, other: 2 } as ReturnType<typeof map>, {}, never)
    expect(warnings).toEqual(['unknown field "oddity"', 'unknown field "other"'])
  })

  it('follows changes from the beginning', async () => {
    const client = opened()
    await client.create(map('a'), {}, never)
    const end = new AbortController()
    const seen: string[] = []
    for await (const event of client.watch<ReturnType<typeof map>>(ref(''), {}, end.signal)) {
      seen.push(textOf(event))
      if (event.type === 'SYNCED') {
        await client.create(map('b'), {}, never)
        await client.remove(ref('a'), {}, never)
      }
      if (seen.length === 4) end.abort()
    }
    expect(seen).toEqual(['ADDED a', 'SYNCED', 'ADDED b', 'DELETED a'])
  })
})

describe('a watch over a socket', () => {
  async function* followed(client: KubernetesClient, signal: AbortSignal) {
    for await (const event of client.watch<ReturnType<typeof map>>(ref(''), {}, signal)) yield textOf(event)
  }

  it('goes on after its connection was cut, without telling twice', async () => {
    const client = new KubernetesClient(new HttpTransport({ socketPath }))
    await client.create(map('a'), {}, never)
    const end = new AbortController()
    const seen: string[] = []
    for await (const text of followed(client, end.signal)) {
      seen.push(text)
      if (text === 'SYNCED') {
        await new Promise((resolve) => setTimeout(resolve, 20))
        for (const response of open) response.destroy()
        await client.create(map('b'), {}, never)
      }
      if (text === 'ADDED b') {
        await close()
        await objects.create(map('c'))
        setTimeout(listen, 120)
      }
      if (text === 'ADDED c') end.abort()
    }
    expect(seen).toEqual(['ADDED a', 'SYNCED', 'ADDED b', 'ADDED c'])
  })

  it('lists again when the history is too old, and tells the differences', async () => {
    const client = new KubernetesClient(new HttpTransport({ socketPath }))
    await client.create(map('a'), {}, never)
    await client.create(map('gone'), {}, never)
    const end = new AbortController()
    const seen: string[] = []
    for await (const text of followed(client, end.signal)) {
      seen.push(text)
      if (text === 'SYNCED') {
        await close()
        for (let n = 0; n < 40; n++) await objects.update({ ...map('a'), data: { n: String(n) } })
        await objects.delete({ groupKind: 'ConfigMap', namespace: 'default', name: 'gone' })
        await objects.create(map('new'))
        await listen()
      }
      if (text === 'ADDED new') end.abort()
    }
    expect(seen).toEqual(['ADDED a', 'ADDED gone', 'SYNCED', 'DELETED gone', 'MODIFIED a', 'ADDED new'])
  })

  it('sees bookmarks and what newer clients ask for', async () => {
    await objects.create(map('a'))
    const client = new KubernetesClient(new HttpTransport({ socketPath }))
    const end = new AbortController()
    const query = 'watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan'
    const { body } = await client.request(
      { method: 'GET', path: `/api/v1/namespaces/default/configmaps?${query}` },
      end.signal,
    )
    let text = ''
    for await (const chunk of body) {
      text += Buffer.from(chunk).toString()
      if (text.includes('BOOKMARK')) break
    }
    const [added, mark] = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(added).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'a' } } })
    expect(mark).toMatchObject({
      type: 'BOOKMARK',
      object: {
        kind: 'ConfigMap',
        metadata: {
          annotations: { 'k8s.io/initial-events-end': 'true' },
          resourceVersion: String(objects.version),
        },
      },
    })
  })

  it('ends when it was asked to end after a time', async () => {
    const client = new KubernetesClient(new HttpTransport({ socketPath }))
    const path = '/api/v1/configmaps?watch=1&timeoutSeconds=1'
    const { body } = await client.request({ method: 'GET', path }, never)
    const chunks: unknown[] = []
    for await (const chunk of body) chunks.push(chunk)
    expect(chunks).toEqual([])
  })
})

describe('a transport', () => {
  it('says where nobody is, and what to do', async () => {
    const client = new KubernetesClient(new HttpTransport({ socketPath: join(folder, 'none') }))
    await expect(client.get(ref('a'), never)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      hint: 'start the daemon: berth daemon',
    })
    const ended = AbortSignal.abort()
    const other = new KubernetesClient(new HttpTransport({ socketPath }))
    await expect(other.get(ref('a'), ended)).rejects.toMatchObject({ code: 'INTERRUPTED' })
  })

  it('is refused a body that is too large', async () => {
    const client = new KubernetesClient(new HttpTransport({ socketPath }))
    const big = map('big', { x: 'x'.repeat(4 * 1024 * 1024) })
    await expect(client.create(big, {}, never)).rejects.toMatchObject({
      message: 'Request entity too large: limit is 3145728',
    })
  })
})

function textOf(event: WatchEvent<ReturnType<typeof map>>): string {
  return event.type === 'SYNCED' ? 'SYNCED' : `${event.type} ${event.object.metadata.name}`
}
