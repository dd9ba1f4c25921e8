import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isBerthError } from '../base/error.ts'
import type { ContainerStatus } from './container.ts'
import { record } from './fixtures.testkit.ts'
import { classifyRecovery } from './recovery.ts'
import { decideRestart, startsWithDaemon } from './restart.ts'
import { allows, type Verb } from './state.ts'

const statuses: ContainerStatus[] = [
  'created',
  'running',
  'paused',
  'restarting',
  'removing',
  'exited',
  'dead',
]
const verbs: Verb[] = ['start', 'stop', 'kill', 'remove', 'exec', 'attach', 'top']

describe('states', () => {
  it('answer every verb, or refuse it with CONFLICT', () => {
    for (const status of statuses) {
      for (const verb of verbs) {
        try {
          expect(typeof allows(record({ state: { status } }), verb)).toBe('boolean')
        } catch (error) {
          expect(isBerthError(error, 'CONFLICT'), `${status} ${verb}`).toBe(true)
        }
      }
    }
  })

  it('have docker’s words', () => {
    const running = record({ state: { status: 'running' } })
    expect(() => allows(running, 'remove')).toThrow(
      'Cannot remove container "web": container is running: stop the container before removing or force remove',
    )
    expect(() => allows(record(), 'kill')).toThrow(
      /^Cannot kill container: web: container a{64} is not running$/,
    )
    expect(() => allows(record({ state: { status: 'exited' } }), 'exec')).toThrow(
      /^Container a{64} is not running$/,
    )
    expect(allows(running, 'start')).toBe(false)
    expect(allows(record({ state: { status: 'exited' } }), 'stop')).toBe(false)
  })
})

describe('restart', () => {
  const base = {
    policy: { name: 'always', maximumRetryCount: 0 },
    exitCode: 1,
    stopped: false,
    restartCount: 0,
    failures: 0,
    ranMs: 5,
  } as const

  it('doubles its delay from 100 ms to a minute, and begins again after ten seconds', () => {
    let failures = 0
    const delays = Array.from({ length: 12 }, () => {
      const again = decideRestart({ ...base, failures })
      failures = again?.failures ?? 0
      return again?.delayMs
    })
    expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000])
    expect(decideRestart({ ...base, failures, ranMs: 10_000 })).toEqual({ delayMs: 100, failures: 1 })
  })

  it('rests when it should', () => {
    expect(decideRestart({ ...base, stopped: true })).toBeUndefined()
    expect(decideRestart({ ...base, policy: { name: 'no', maximumRetryCount: 0 } })).toBeUndefined()
    const onFailure = { ...base, policy: { name: 'on-failure', maximumRetryCount: 2 } } as const
    expect(decideRestart({ ...onFailure, exitCode: 0 })).toBeUndefined()
    expect(decideRestart({ ...onFailure, restartCount: 1 })).toBeDefined()
    expect(decideRestart({ ...onFailure, restartCount: 2 })).toBeUndefined()
    expect(
      decideRestart({ ...base, policy: { name: 'unless-stopped', maximumRetryCount: 0 }, exitCode: 0 }),
    ).toBeDefined()
  })

  it('starts with the daemon by policy', () => {
    const of = (name: 'no' | 'always' | 'on-failure' | 'unless-stopped', stopped: boolean) =>
      startsWithDaemon({ name, maximumRetryCount: 0 }, stopped)
    expect([of('always', true), of('unless-stopped', true), of('unless-stopped', false)]).toEqual([
      true,
      false,
      true,
    ])
    expect([of('no', false), of('on-failure', false)]).toEqual([false, false])
  })
})

describe('recovery', () => {
  const exit = { code: 1, oomKilled: false, finishedAt: 1 }

  it('has one answer for each record and world', () => {
    const up = record({ state: { status: 'running' }, progress: { step: 'up', run: 1 } })
    expect(classifyRecovery(up, { supervisor: 'running', exit: undefined })).toBe('adopt')
    expect(classifyRecovery(up, { supervisor: 'none', exit })).toBe('record-exit')
    expect(classifyRecovery(up, { supervisor: 'running', exit })).toBe('record-exit')
    expect(classifyRecovery(up, { supervisor: 'none', exit: undefined })).toBe('lost')
    const none = { supervisor: 'none', exit: undefined } as const
    expect(classifyRecovery(record({ progress: { step: 'starting' } }), none)).toBe('abort-start')
    expect(classifyRecovery(record({ progress: { step: 'making' } }), none)).toBe('undo-create')
    expect(classifyRecovery(record(), none)).toBe('at-rest')
  })

  it('adopts only what runs, and finishes every removal', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...statuses),
        fc.constantFrom('making', 'idle', 'starting', 'up'),
        fc.constantFrom('none', 'created', 'running'),
        fc.option(fc.constant(exit), { nil: undefined }),
        (status, step, supervisor, left) => {
          const situation = classifyRecovery(record({ state: { status }, progress: { step } }), {
            supervisor,
            exit: left,
          })
          if (situation === 'adopt') expect([step, supervisor, left]).toEqual(['up', 'running', undefined])
          if (status === 'removing') expect(situation).toBe('finish-remove')
        },
      ),
    )
  })
})
