import { describe, expect, it } from 'vitest'
import type { KubeObject } from '../object/meta.ts'
import type { Simulation } from './simulation.ts'
import { metadata, open, pods } from './workloads.testkit.ts'

describe('a Service', () => {
  it('follows its pods, by named ports too, and is balanced by the node', () => {
    const simulation = open(1)
    const spec = { type: 'LoadBalancer', selector: { app: 'db' }, ports: [{ port: 80, targetPort: 'http' }] }
    simulation.world.create({ apiVersion: 'v1', kind: 'Service', metadata, spec })
    const pod = (name: string, containerPort: number) =>
      simulation.world.create({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: 'shop', labels: { app: 'db' } },
        spec: { containers: [{ name: 'a', image: 'db:1', ports: [{ name: 'http', containerPort }] }] },
      })
    pod('a', 80)
    pod('b', 80)
    pod('c', 8080)
    simulation.run()
    const slices = () =>
      simulation.world.view
        .list('EndpointSlice', 'shop')
        .map((slice) => ({
          port: slice.ports?.[0]?.port ?? 0,
          ready: slice.endpoints.map(
            (endpoint) => `${endpoint.targetRef?.name} ${endpoint.conditions?.ready}`,
          ),
        }))
        .sort((a, b) => a.port - b.port)
    expect(slices()).toEqual([
      { port: 80, ready: ['a true', 'b true'] },
      { port: 8080, ready: ['c true'] },
    ])
    expect(simulation.world.view.get('Service', 'shop', 'db')?.status?.loadBalancer?.ingress).toEqual([
      { ip: '192.0.2.1', ipMode: 'VIP' },
    ])
    simulation.world.remove({ kind: 'Pod', namespace: 'shop', name: 'c' })
    simulation.run()
    expect(slices()).toEqual([{ port: 80, ready: ['a true', 'b true'] }])
    const other = simulation.world.view.get('Pod', 'shop', 'b')
    simulation.world.update({ ...other, metadata: { ...other?.metadata, labels: {} } } as KubeObject)
    simulation.run()
    expect(slices()).toEqual([{ port: 80, ready: ['a true'] }])
    expect(simulation.wanted()).toEqual([])
  })
})

describe('a claim', () => {
  const claim = (spec: object): KubeObject => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata,
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '5Gi' } }, ...spec },
  })
  const volume = (name: string, storage: string) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: { capacity: { storage }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/x' } },
  })
  const bound = (simulation: Simulation) =>
    simulation.world.view.get('PersistentVolumeClaim', 'shop', 'db')?.spec.volumeName

  it('takes the smallest volume that fits, else gets a new one', () => {
    const simulation = open(1)
    for (const [name, size] of [
      ['small', '1Gi'],
      ['large', '50Gi'],
      ['fits', '6Gi'],
    ] as const)
      simulation.world.create(volume(name, size))
    simulation.world.create(claim({ storageClassName: '' }))
    simulation.run()
    expect(bound(simulation)).toBe('fits')
    const other = open(1)
    other.world.create(claim({ storageClassName: 'fast' }))
    other.run()
    expect(other.world.view.list('PersistentVolume')[0]?.spec).toMatchObject({
      csi: { volumeHandle: 'shop_db' },
      storageClassName: 'fast',
      capacity: { storage: '5Gi' },
    })
  })

  it('stays while a pod uses it', () => {
    const simulation = open(1)
    simulation.world.create(claim({}))
    const volumes = [{ name: 'v', persistentVolumeClaim: { claimName: 'db' } }]
    const spec = { containers: [{ name: 'a', image: 'db:1' }], volumes }
    simulation.world.create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'shop' },
      spec,
    })
    simulation.run()
    simulation.world.remove({ kind: 'PersistentVolumeClaim', namespace: 'shop', name: 'db' })
    simulation.run()
    expect(simulation.world.view.list('PersistentVolumeClaim', 'shop')).toHaveLength(1)
    simulation.world.remove({ kind: 'Pod', namespace: 'shop', name: 'p' })
    simulation.run()
    expect(simulation.world.view.list('PersistentVolumeClaim', 'shop')).toEqual([])
    expect(simulation.world.view.list('PersistentVolume')).toEqual([])
  })
})

describe('placement', () => {
  it('says why a pod has no node', () => {
    const simulation = open(1)
    const spec = { containers: [{ name: 'a', image: 'db:1' }], nodeSelector: { disk: 'ssd' } }
    simulation.world.create({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
    simulation.run()
    expect(pods(simulation)[0]?.status?.conditions?.[0]).toMatchObject({
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message: "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
    })
    expect(simulation.wanted()).toEqual([])
  })
})
