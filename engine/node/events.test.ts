import { expect, it } from 'vitest'
import type { ContainerStatus, Pod, PodStatus } from '../object/types.generated.ts'
import { tookText } from './backoff.ts'
import { eventsOf } from './events.ts'

const pod = {
  metadata: { name: 'web-0', namespace: 'shop', uid: 'u' },
  spec: { containers: [{ name: 'web', image: 'web:1' }] },
} as unknown as Pod

const waiting = (reason: string, message = '') =>
  ({
    containerStatuses: [
      { name: 'web', image: 'web:1', restartCount: 1, state: { waiting: { reason, message } } },
    ],
  }) as unknown as PodStatus & { containerStatuses: ContainerStatus[] }
const told = (before: Pod, next: PodStatus) =>
  eventsOf(before, next).map(({ type, reason, message }) => `${type} ${reason} ${message}`)

it('tell in kubelet’s words why a container waits, once', () => {
  expect(told(pod, waiting('CrashLoopBackOff'))).toEqual([
    'Warning BackOff Back-off restarting failed container web in pod web-0_shop(u)',
  ])
  expect(told(pod, waiting('ImagePullBackOff'))).toEqual([
    'Normal BackOff Back-off pulling image "web:1"',
    'Warning Failed Error: ImagePullBackOff',
  ])
  expect(told(pod, waiting('CreateContainerConfigError', 'secret "x" not found'))).toEqual([
    'Warning Failed Error: secret "x" not found',
  ])
  const again = { ...pod, status: waiting('ImagePullBackOff') }
  expect(told(again, waiting('ImagePullBackOff'))).toEqual([])
  expect(told(pod, waiting('ContainerCreating'))).toEqual([])
})

it('say how long a pull took as Go does', () => {
  expect([0, 312, 1500, 61_034, 600_000].map(tookText)).toEqual(['0s', '312ms', '1.5s', '1m1.034s', '10m0s'])
})
