import { expect, it } from 'vitest'
import type { StoredObject } from '../store/object.ts'
import { whyNotStarted } from './log.ts'

it.each([
  [
    { waiting: { reason: 'ImagePullBackOff' } },
    /container "c" in pod "p" is waiting to start: trying and failing/,
  ],
  [{ waiting: { reason: 'ContainerCreating' } }, /is waiting to start: ContainerCreating$/],
  [{ running: {} }, undefined],
])('tells why a container in the state %j has no logs', (state, message) => {
  const status = { containerStatuses: [{ name: 'c', state }] }
  const object = { metadata: { name: 'p' }, status } as unknown as StoredObject
  const why = whyNotStarted(object, 'c')?.message
  if (message) expect(why).toMatch(message)
  else expect(why).toBeUndefined()
})
