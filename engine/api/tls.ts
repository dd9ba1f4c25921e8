import { createServer, type Server } from 'node:https'
import type { Certificates } from './certificates.ts'
import type { KubernetesApi } from './http.ts'

const handshakeTimeoutMs = 10_000

export interface TlsOptions {
  readonly certificates: Certificates
  readonly api: Pick<KubernetesApi, 'handle' | 'upgrade'>
}

/**
 * A server for the loopback listener of `berth kubeconfig`: only who shows a certificate of our authority is answered.
 * The caller listens, on an address or on a descriptor of the keeper's.
 */
export function createTlsServer({ certificates, api }: TlsOptions): Server {
  const { ca, server } = certificates
  return createServer(
    {
      ca,
      cert: server.cert,
      key: server.key,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      handshakeTimeout: handshakeTimeoutMs,
    },
    api.handle,
  ).on('upgrade', api.upgrade)
}

/** What `berth kubeconfig` prints: one cluster, one user, their certificates inside. JSON, which every YAML reader takes. */
export function kubeconfigOf(options: {
  readonly url: string
  readonly name: string
  readonly certificates: Certificates
}): object {
  const { url, name, certificates } = options
  const { ca, client } = certificates
  const base64 = (pem: string) => Buffer.from(pem).toString('base64')
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: url, 'certificate-authority-data': base64(ca) } }],
    users: [
      {
        name,
        user: { 'client-certificate-data': base64(client.cert), 'client-key-data': base64(client.key) },
      },
    ],
    contexts: [{ name, context: { cluster: name, user: name, namespace: 'default' } }],
    'current-context': name,
    preferences: {},
  }
}
