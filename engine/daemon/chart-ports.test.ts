import { expect, it } from 'vitest'
import { newPorts } from './chart-ports.ts'

const service = (name: string, type: string, ...ports: object[]) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { type, ports },
})

it('gives the ports on the machine that are new to a release', () => {
  const before = [service('web', 'LoadBalancer', { port: 80 })]
  const after = [
    service('other', 'LoadBalancer', { port: 80 }, { port: 53, protocol: 'UDP' }),
    service('inside', 'ClusterIP', { port: 9 }),
  ]
  expect(newPorts(after, before)).toEqual([{ hostIp: '', hostPort: 53, protocol: 'udp' }])
  expect(newPorts(after, []).map(({ hostPort }) => hostPort)).toEqual([80, 53])
})
