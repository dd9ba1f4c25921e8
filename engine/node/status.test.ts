import { expect, it } from 'vitest'
import { podStatus } from '../object/pod-summary.ts'
import type { Pod } from '../object/types.generated.ts'
import { noMemory } from './observed.ts'
import { statusOf } from './status.ts'

it('a deleted pod whose container was removed between two reports has not one that is being made', () => {
  const pod = {
    metadata: { name: 'p', namespace: 'd', uid: 'u', deletionTimestamp: '2026-01-01T00:00:00Z' },
    spec: { containers: [{ name: 'c', image: 'i' }] },
    status: {
      phase: 'Running',
      containerStatuses: [
        { name: 'c', image: 'i', imageID: 'i', ready: true, restartCount: 0, state: { running: {} } },
      ],
    },
  } as unknown as Pod
  const observed = { sandbox: undefined, containers: [], images: new Map(), volumesReady: true }
  const status = statusOf(pod, observed, noMemory, { hostAddress: '10.0.0.1', now: Date.now() })
  expect(status.phase).toBe('Failed')
  expect(status.containerStatuses?.[0]?.state?.terminated).toMatchObject({
    exitCode: 137,
    reason: 'ContainerStatusUnknown',
  })
  expect(podStatus({ ...pod, status })).toBe('ContainerStatusUnknown')
})
