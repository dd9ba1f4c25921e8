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

it('a pod whose image is pulled again still says why the last pull failed', () => {
  const pod = {
    metadata: { name: 'p', namespace: 'd', uid: 'u' },
    spec: { containers: [{ name: 'c', image: 'i' }] },
  } as unknown as Pod
  const trouble = { reason: 'ErrImagePull', message: 'there is none', at: 0, backOff: { at: 0, delayMs: 1 } }
  const memory = {
    ...noMemory,
    pulling: new Set(['i']),
    pullTroubles: new Map([['i', trouble]]),
  } as unknown as typeof noMemory
  const sandbox = { id: 's', addresses: [] }
  const observed = { sandbox, containers: [], images: new Map(), volumesReady: true } as never
  const status = statusOf(pod, observed, memory, { hostAddress: '10.0.0.1', now: Date.now() })
  expect(status.containerStatuses?.[0]?.state?.waiting).toEqual({
    reason: 'ErrImagePull',
    message: 'there is none',
  })
})
