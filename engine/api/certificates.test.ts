import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { HttpTransport } from '../client/http-transport.ts'
import { ensureCertificates } from './certificates.ts'
import { createTlsServer, kubeconfigOf } from './tls.ts'

const now = Date.now()
const dayMs = 24 * 3600 * 1000
const signal = new AbortController().signal
let folder = ''
beforeAll(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'berth-tls-')), 'pki')
})
afterAll(() => rm(join(folder, '..'), { recursive: true }))

it('makes certificates once, only for root to read', async () => {
  const first = await ensureCertificates({ folder, now })
  expect(await ensureCertificates({ folder, now })).toEqual(first)
  for (const name of await readdir(folder)) {
    expect((await stat(join(folder, name))).mode & 0o777, name).toBe(0o600)
  }
  expect((await stat(folder)).mode & 0o777).toBe(0o700)
  const server = new X509Certificate(first.server.cert)
  expect(server.checkIP('127.0.0.1')).toBe('127.0.0.1')
  expect(server.checkIP('::1')).toBe('::1')
  expect(server.checkHost('localhost')).toBe('localhost')
  expect(server.checkHost('elsewhere')).toBeUndefined()
})

it('renews leaves that end soon, and what is broken', async () => {
  const first = await ensureCertificates({ folder, now })
  const later = await ensureCertificates({ folder, now: now + 340 * dayMs })
  expect(later.ca).toBe(first.ca)
  expect(later.client.cert).not.toBe(first.client.cert)
  await writeFile(join(folder, 'server.crt'), 'nonsense')
  const repaired = await ensureCertificates({ folder, now })
  expect(repaired.server.cert).toContain('BEGIN CERTIFICATE')
  await rm(join(folder, 'ca.key'))
  const anew = await ensureCertificates({ folder, now })
  expect(anew.ca).not.toBe(first.ca)
  expect(new X509Certificate(anew.client.cert).verify(new X509Certificate(anew.ca).publicKey)).toBe(true)
})

it('lets in who has the client certificate, nobody else', async () => {
  const certificates = await ensureCertificates({ folder, now })
  const server = createTlsServer({
    certificates,
    api: { handle: (_, response) => response.end('{}'), upgrade: (_, socket) => socket.destroy() },
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  try {
    const { ca, client } = certificates
    const request = { method: 'GET', path: '/version', headers: {} }
    using good = new HttpTransport({ url, ca, ...client })
    expect((await good.send(request, signal)).status).toBe(200)
    using bare = new HttpTransport({ url, ca })
    await expect(bare.send(request, signal)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    using stranger = new HttpTransport({ url, ...client })
    await expect(stranger.send(request, signal)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    const kubeconfig = kubeconfigOf({ url, name: 'berth', certificates })
    expect(kubeconfig).toMatchObject({
      'current-context': 'berth',
      clusters: [{ cluster: { server: url } }],
    })
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
