import { describe, expect, it } from 'vitest'
import type { ContainerState, PodObject } from '../../engine/release/pods.ts'
import { frame, plainLine } from './draw.ts'
import { Story } from './story.ts'

const pod = (state: ContainerState['state'], { ready = false, restarts = 0, more = {} } = {}): PodObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'web-7d-x1',
    uid: 'u1',
    namespace: 'default',
    labels: { 'pod-template-hash': '7d' },
    ownerReferences: [{ uid: 'r', controller: true, kind: 'ReplicaSet', name: 'web-7d' } as never],
    ...more,
  },
  status: {
    phase: 'Running',
    conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    containerStatuses: [{ name: 'app', image: 'web:1', restartCount: restarts, ...(state ? { state } : {}) }],
  },
})
const event = (reason: string, message: string) => ({
  metadata: {},
  involvedObject: { kind: 'Pod', name: 'web-7d-x1' },
  reason,
  message,
})
const applied = { type: 'applied', object: 'Deployment/web' } as const
const ready = { type: 'state', object: 'Deployment/web', state: 'ready', reason: '' } as const
const waiting = { ...ready, state: 'waiting', reason: 'has 0 of 1 replicas ready' } as const
const running = { running: { startedAt: '2026-01-01T00:00:00Z' } }
const told = (story: Story) => story.take().map(({ word, text }) => `${word} ${text}`.trim())

describe('Story', () => {
  it('tells each thing once, whatever comes first', () => {
    const story = new Story(0)
    // The pod is seen before the engine says that its Deployment is applied.
    story.pod(pod(undefined), 10)
    story.event(event('Pulling', 'Pulling image "web:1"'), 20)
    expect(told(story)).toEqual(['pulling web:1'])
    for (const at of [30, 40]) {
      story.progress(applied, at)
      story.event(event('Pulling', 'Pulling image "web:1"'), at)
      story.event(event('Pulled', 'Successfully pulled image "web:1" in 2.12s'), at)
      story.pod(pod(running), at)
      story.pod(pod(running, { ready: true }), at)
      story.progress(ready, at)
    }
    expect(told(story)).toEqual([
      'applied Deployment/web',
      'pulled web:1 (2.1 s)',
      'started web-7d-x1',
      'ready web-7d-x1',
      'ready Deployment/web',
    ])
  })

  it('says how long a pull took, as the event has it', () => {
    const story = new Story(0)
    const took = ['312ms', '1m2.5s']
    story.progress(applied, 1)
    story.take()
    for (const [i, text] of took.entries()) {
      const message = `Successfully pulled image "i:${i}" in ${text} (${text} including waiting).`
      story.event(event('Pulled', message), 2)
    }
    expect(told(story)).toEqual(['pulled i:0 (0.3 s)', 'pulled i:1 (62.5 s)'])
  })

  it('passes over what was there before, and pods of others', () => {
    const story = new Story(0)
    story.pod(pod(running, { ready: true }), 0, { old: true })
    story.pod(pod(running, { more: { name: 'other', uid: 'u2', ownerReferences: [] } }), 1)
    story.progress(applied, 2)
    story.pod(pod(running, { ready: true }), 3)
    expect(told(story)).toEqual(['applied Deployment/web'])
    story.pod(pod(running, { ready: true }), 4, { gone: true })
    expect(told(story)).toEqual(['stopped web-7d-x1'])
  })

  it('says why when nothing moves for five seconds, and says it once', () => {
    const story = new Story(0)
    story.progress(applied, 0)
    story.progress(waiting, 0)
    const crashed = {
      waiting: { reason: 'CrashLoopBackOff', message: 'back-off' },
      terminated: { exitCode: 3, reason: 'Error' },
    }
    story.pod(pod(crashed, { restarts: 2 }), 100)
    story.take()
    expect(story.stall(5000)).toBeUndefined()
    expect(story.stall(5100)).toHaveLength(1)
    story.aside(['cannot open the database'])
    expect(told(story)).toEqual([
      'waiting Deployment/web has 0 of 1 replicas ready',
      'web-7d-x1: CrashLoopBackOff, ended with exit code 3, restarted 2 times',
      '| cannot open the database',
    ])
    expect(story.stall(20_000)).toBeUndefined()
  })

  it('tells a failed pull at once, with its cause and not its wrapping', () => {
    const story = new Story(0)
    story.progress(applied, 0)
    const message =
      'Back-off pulling image "web:1": ErrImagePull: failed to pull image "web:1": Cannot pull "web:1": registry answered 404'
    story.pod(pod({ waiting: { reason: 'ImagePullBackOff', message } }), 1)
    story.pod(pod({ waiting: { reason: 'ErrImagePull', message } }), 2)
    expect(told(story)).toEqual([
      'applied Deployment/web',
      'failing cannot pull web:1: registry answered 404',
    ])
  })
})

describe('how it is drawn', () => {
  it('a line an event in a pipe', () => {
    expect(plainLine({ word: 'pulled', text: 'redis:7 (2.1 s)' }, 2345)).toBe(
      '   2.3s  pulled    redis:7 (2.1 s)',
    )
    expect(plainLine({ word: 'ready', text: 'a\u001b[31m' }, 64_000)).toBe('  1m04s  ready     a\\x1b[31m')
  })

  it('a picture on a terminal', () => {
    const story = new Story(0)
    for (const object of ['Service/web', 'Service/db', 'Deployment/web'])
      story.progress({ type: 'applied', object }, 0)
    story.progress(waiting, 1000)
    story.event(event('Pulling', 'Pulling image "db:2"'), 1500)
    story.pod(pod(running), 1200)
    const options = {
      title: 'Installing shop',
      startedMs: 0,
      columns: 60,
      rows: 24,
      color: false,
      logs: new Map(),
    }
    expect(frame(story, { ...options, nowMs: 2000 })).toEqual([
      '⠋ Installing shop  2.0s',
      '  ✓ Service/web, db',
      '  ⠋ pulling db:2  0.5s',
      '  ⠋ Deployment/web  0 of 1 replicas ready  1.0s',
      '    ⠋ web-7d-x1  started, not ready yet  0.8s',
    ])
    story.progress(ready, 2500)
    expect(frame(story, { ...options, nowMs: 3000, end: 'good' })).toEqual([
      '✓ Installing shop  3.0s',
      '  ✓ Service/web, db',
      '  ✓ Deployment/web  ready',
    ])
    expect(frame(story, { ...options, nowMs: 3000, rows: 3 })).toHaveLength(2)
  })
})
