import { expect, it } from 'vitest'
import type { ClusterObject } from '../../engine/release/cluster.ts'
import type { PodObject } from '../../engine/release/pods.ts'
import type { ReleaseRecord } from '../../engine/release/record.ts'
import { releaseTree } from './tree.ts'

const metadata = { name: 'web', namespace: 'default', creationTimestamp: '2026-01-01T00:00:00Z' }
const set: ClusterObject = {
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata,
  spec: { replicas: 2 },
  status: { observedGeneration: 1, readyReplicas: 1 },
}
const service: ClusterObject = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata,
  spec: { clusterIP: '10.0.0.1', type: 'LoadBalancer', ports: [{ port: 80 }] },
  status: { loadBalancer: { ingress: [{ ip: '10.0.0.9' }] } },
}
const secret: ClusterObject = { apiVersion: 'v1', kind: 'Secret', metadata }
const pod = (i: number, status: PodObject['status']): PodObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    ...metadata,
    name: `web-${i}`,
    ownerReferences: [{ uid: 'u', controller: true, kind: 'StatefulSet', name: 'web' } as never],
  },
  spec: {
    containers: [
      { name: 'app', image: 'web:1', ports: [{ containerPort: 80 }, { containerPort: 53, protocol: 'UDP' }] },
    ],
  },
  ...(status && { status }),
})

it('is drawn down to the containers', () => {
  const record = {
    name: 'shop',
    namespace: 'default',
    version: 3,
    info: { status: 'deployed', last_deployed: '2026-01-01T00:00:00Z' },
    chart: { metadata: { name: 'shop', version: '1.2.3' } },
  } as ReleaseRecord
  const running = { running: { startedAt: '2026-01-01T00:00:00Z' } }
  const crashed = { waiting: { reason: 'CrashLoopBackOff' }, terminated: { exitCode: 1 } }
  const pods = [
    pod(1, { podIP: '10.0.0.3', containerStatuses: [{ name: 'app', restartCount: 4, state: crashed }] }),
    pod(0, {
      podIP: '10.0.0.2',
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [{ name: 'app', ready: true, restartCount: 0, state: running }],
    }),
  ]
  const objects = [
    { wanted: secret, live: undefined },
    { wanted: service, live: service },
    { wanted: set, live: set },
  ]
  const nowMs = Date.parse('2026-01-01T00:10:00Z')
  expect(releaseTree({ record, objects, pods, nowMs }, false)).toBe(`\
shop  deployed  revision 3  shop-1.2.3  namespace default  10m ago
├─ · StatefulSet/web  1/2  has 1 of 2 replicas ready
│  ├─ ✓ web-0  ready  10.0.0.2  10m
│  │  └─ ✓ app  web:1  ready  0 restarts  ports 80, 53/udp
│  └─ ! web-1  CrashLoopBackOff  10.0.0.3  10m
│     └─ · app  web:1  CrashLoopBackOff  4 restarts  ports 80, 53/udp  ended with exit code 1, restarted 4 times
├─ ✗ Secret/web  missing
└─ ✓ Service/web  10.0.0.1:80  published 10.0.0.9:80
`)
})
