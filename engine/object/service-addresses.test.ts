import { describe, expect, it } from 'vitest'
import { applyDefaults } from './defaults/defaults.ts'
import { allocateService, usualNodePorts } from './service-addresses.ts'
import type { Service } from './types.generated.ts'

const service = (spec: object): Service =>
  applyDefaults({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'a' },
    spec: { ports: [{ port: 80 }], ...spec },
  })
const pool = (...taken: Service[]) => ({ subnet: '10.211.0.0/29', nodePorts: usualNodePorts, taken })

describe('allocateService', () => {
  it('gives the lowest free address and keeps it', () => {
    const first = allocateService(service({}), pool())
    expect(first.spec).toMatchObject({
      clusterIP: '10.211.0.2',
      clusterIPs: ['10.211.0.2'],
      ipFamilies: ['IPv4'],
    })
    expect(first.spec.ports?.[0]?.nodePort).toBeUndefined()
    const second = allocateService(service({}), pool(first))
    expect(second.spec.clusterIP).toBe('10.211.0.3')
    expect(allocateService(service({}), pool(first), second).spec.clusterIP).toBe('10.211.0.3')
  })

  it('gives node ports to what is seen from outside', () => {
    const first = allocateService(service({ type: 'LoadBalancer' }), pool())
    expect(first.spec.ports?.[0]?.nodePort).toBe(30000)
    expect(allocateService(service({ type: 'NodePort' }), pool(first)).spec.ports?.[0]?.nodePort).toBe(30001)
    expect(allocateService(service({}), pool(), first).spec.ports?.[0]?.nodePort).toBeUndefined()
  })

  it('leaves headless services and external names without', () => {
    expect(allocateService(service({ clusterIP: 'None' }), pool()).spec.clusterIPs).toEqual(['None'])
    expect(
      allocateService(service({ type: 'ExternalName', externalName: 'x' }), pool()).spec.clusterIP,
    ).toBeUndefined()
  })

  it('refuses what is taken, out of range or used up', () => {
    const first = allocateService(
      service({ type: 'NodePort', ports: [{ port: 80, nodePort: 30007 }] }),
      pool(),
    )
    expect(() => allocateService(service({ clusterIP: '10.211.0.2' }), pool(first))).toThrow(
      'already allocated',
    )
    expect(() => allocateService(service({ clusterIP: '10.9.0.1' }), pool())).toThrow(
      'not in the valid range',
    )
    expect(() =>
      allocateService(service({ type: 'NodePort', ports: [{ port: 1, nodePort: 30007 }] }), pool(first)),
    ).toThrow('provided port is already allocated')
    const all = ['2', '3', '4', '5', '6'].map((n) => service({ clusterIP: `10.211.0.${n}` }))
    expect(() => allocateService(service({}), pool(...all))).toThrow('range is full')
  })
})
