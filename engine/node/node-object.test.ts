import { expect, it } from 'vitest'
import { type MachineFacts, nodeObject } from './node-object.ts'

const facts = {
  name: 'm',
  address: '10.210.0.1',
  cpuMilli: 2000,
  memoryBytes: 1 << 20,
  diskBytes: 1 << 30,
} as unknown as MachineFacts

it('tells when it was last heard of, keeps since when it is ready and what others have put on it', () => {
  const first = nodeObject(facts, undefined, 1000)
  const labelled = {
    ...first,
    metadata: { ...first.metadata, labels: { ...first.metadata.labels, own: 'x' } },
  }
  const second = nodeObject(facts, labelled, 61_000)
  expect(second.metadata.labels).toMatchObject({ own: 'x', 'kubernetes.io/hostname': 'm' })
  expect(second.status?.conditions).toEqual([
    {
      type: 'Ready',
      status: 'True',
      reason: 'KubeletReady',
      message: 'berth is ready',
      lastTransitionTime: '1970-01-01T00:00:01Z',
      lastHeartbeatTime: '1970-01-01T00:01:01Z',
    },
  ])
})
