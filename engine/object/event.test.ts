import { describe, expect, it } from 'vitest'
import { eventFor, eventName } from './event.ts'
import { validateCreate } from './validate/validate.ts'

const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web-0', namespace: 'shop', uid: 'u' } }
const content = {
  type: 'Warning',
  reason: 'BackOff',
  message: 'again',
  source: 'kubelet',
  host: 'here',
} as const

describe('eventFor', () => {
  it('makes an event, and counts an equal one', () => {
    const first = eventFor(pod, content, { before: undefined, now: 0 })
    const second = eventFor(pod, content, { before: first, now: 5_000 })
    expect(validateCreate(first)).toEqual([])
    expect(second).toMatchObject({
      involvedObject: { kind: 'Pod', name: 'web-0', uid: 'u' },
      count: 2,
      firstTimestamp: '1970-01-01T00:00:00Z',
      lastTimestamp: '1970-01-01T00:00:05Z',
      source: { component: 'kubelet', host: 'here' },
    })
    expect(second.metadata).toEqual({ name: eventName(pod, content), namespace: 'shop' })
    expect(eventName(pod, { ...content, message: 'other' })).not.toBe(first.metadata.name)
  })
})
