import { describe, expect, it } from 'vitest'
import type { EndpointSlice, Pod, Service } from '../object/types.generated.ts'
import { planServices } from './services.ts'

const metadata = { name: 'web', namespace: 'shop' }
const service = (spec: object) => ({ apiVersion: 'v1', kind: 'Service', metadata, spec }) as Service
const slice = {
  metadata: { namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  endpoints: [
    { addresses: ['10.210.0.2'], conditions: { ready: true }, hostname: 'web-0' },
    { addresses: ['10.210.0.3'], conditions: { ready: false } },
  ],
} as unknown as EndpointSlice
const ports = [
  { name: 'http', port: 80, protocol: 'TCP', nodePort: 30001 },
  { name: 'other', port: 81 },
]

describe('planServices', () => {
  it('forwards to ready endpoints, from the host too', () => {
    const { addresses, names } = planServices(
      [service({ type: 'LoadBalancer', clusterIP: '10.211.0.2', ports })],
      [slice],
      [],
    )
    const endpoints = [{ address: '10.210.0.2', port: 8080 }]
    const name = 'shop/web'
    expect(addresses).toEqual([
      { name, address: '10.211.0.2', port: 80, hostPort: 80, protocol: 'tcp', endpoints },
      { name, port: 80, hostPort: 30001, protocol: 'tcp', endpoints },
      { name, address: '10.211.0.2', port: 81, hostPort: 81, protocol: 'tcp', endpoints: [] },
    ])
    expect(names).toMatchObject([
      {
        namespace: 'shop',
        name: 'web',
        address: '10.211.0.2',
        hosts: [{ address: '10.210.0.2', hostname: 'web-0' }],
      },
    ])
  })

  it('gives headless services and external names only names', () => {
    const headless = planServices([service({ clusterIP: 'None', ports })], [slice], [])
    expect([headless.addresses, headless.names[0]?.address]).toEqual([[], undefined])
    expect(
      planServices([service({ type: 'ExternalName', externalName: 'x.org' })], [], []).names,
    ).toMatchObject([{ externalName: 'x.org', hosts: [] }])
  })

  it('knows in which namespace a pod asks', () => {
    const pod = (spec: object) => ({ metadata, spec, status: { podIP: '10.210.0.2' } }) as unknown as Pod
    expect(planServices([], [], [pod({}), pod({ hostNetwork: true })]).pods).toEqual([
      { address: '10.210.0.2', namespace: 'shop' },
    ])
  })
})
