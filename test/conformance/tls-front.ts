/**
 * The API of a daemon's socket over TLS with client certificates, for kubectl and helm: `node tls-front.ts FOLDER SOCKET`
 * listens on a free port of 127.0.0.1, writes FOLDER/kubeconfig, prints `ready` and goes on until it is ended.
 */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { ensureCertificates } from '../../engine/api/certificates.ts'
import { kubeconfigOf } from '../../engine/api/tls.ts'

const [folder = '', socket = ''] = process.argv.slice(2)
const certificates = await ensureCertificates({ folder: join(folder, 'certificates'), now: Date.now() })
const { ca, server } = certificates
const front = createServer({ ca, ...server, requestCert: true, rejectUnauthorized: true }, (client) => {
  const api = connect(socket)
  client.on('error', () => api.destroy())
  api.on('error', () => client.destroy())
  client.pipe(api).pipe(client)
})
front.listen(0, '127.0.0.1')
await once(front, 'listening')
const url = `https://127.0.0.1:${(front.address() as AddressInfo).port}`
await writeFile(
  join(folder, 'kubeconfig'),
  JSON.stringify(kubeconfigOf({ url, name: 'berth', certificates })),
  { mode: 0o600 },
)
process.stdout.write('ready\n')
