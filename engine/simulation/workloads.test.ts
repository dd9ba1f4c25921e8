import { describe, expect, it } from 'vitest'
import { isActive, isReady } from '../control/pods.ts'
import type { Simulation } from './simulation.ts'
import {
  change,
  each,
  job,
  metadata,
  names,
  open,
  pods,
  remove,
  statefulSet,
  template,
} from './workloads.testkit.ts'

describe('a StatefulSet', () => {
  it('makes its pods in order, one when the one before is ready, each with a bound claim', () => {
    each((seed) => {
      let simulation: Simulation | undefined
      simulation = open(seed, {
        kill: 0.1,
        observe: () => {
          if (!simulation) return
          const ready = pods(simulation).filter(isReady).length
          expect(pods(simulation).length).toBeLessThanOrEqual(ready + 1)
        },
      })
      simulation.world.create(statefulSet())
      simulation.run()
      simulation.calm()
      simulation.run()
      expect(names(pods(simulation))).toEqual(['db-0', 'db-1', 'db-2'])
      const claims = simulation.world.view.list('PersistentVolumeClaim', 'shop')
      expect(claims.map((claim) => `${claim.metadata.name} ${claim.status?.phase}`).sort()).toEqual([
        'data-db-0 Bound',
        'data-db-1 Bound',
        'data-db-2 Bound',
      ])
      expect(simulation.world.view.list('PersistentVolume').map((volume) => volume.status?.phase)).toEqual(
        Array(3).fill('Bound'),
      )
      expect(pods(simulation)[0]?.spec).toMatchObject({ hostname: 'db-0', subdomain: 'db' })
      expect(simulation.wanted()).toEqual([])
    })
  })

  it('renews from the highest, never two at a time, and keeps the claims', () => {
    each((seed) => {
      let watching = false
      const simulation = open(seed, {
        kill: 0.1,
        observe: () => {
          if (watching)
            expect(
              pods(simulation).filter((pod) => isActive(pod) && isReady(pod)).length,
            ).toBeGreaterThanOrEqual(2)
        },
      })
      simulation.world.create(statefulSet())
      simulation.run()
      watching = true
      const uids = simulation.world.view
        .list('PersistentVolumeClaim', 'shop')
        .map((claim) => claim.metadata.uid)
      change(simulation, statefulSet(), { template: template('db:2') })
      simulation.run()
      simulation.calm()
      simulation.run()
      expect(pods(simulation).map((pod) => pod.spec.containers[0]?.image)).toEqual(['db:2', 'db:2', 'db:2'])
      expect(
        simulation.world.view.list('PersistentVolumeClaim', 'shop').map((claim) => claim.metadata.uid),
      ).toEqual(uids)
      const { status } = simulation.world.view.get('StatefulSet', 'shop', 'db') ?? {}
      expect(status?.currentRevision).toBe(status?.updateRevision)
      expect(simulation.wanted()).toEqual([])
    })
  })

  it('leaves pods below the partition, and heals a bad template once it is corrected', () => {
    const simulation = open(1)
    simulation.world.create(statefulSet())
    simulation.run()
    change(simulation, statefulSet(), {
      template: template('db:2'),
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } },
    })
    simulation.run()
    const images = () =>
      [...pods(simulation)]
        .sort((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1))
        .map((pod) => pod.spec.containers[0]?.image)
    expect(images()).toEqual(['db:1', 'db:1', 'db:2'])
    change(simulation, statefulSet(), {
      template: template('bad:3'),
      updateStrategy: { type: 'RollingUpdate' },
    })
    simulation.run()
    expect(images()).toEqual(['db:1', 'db:1', 'bad:3'])
    change(simulation, statefulSet(), { template: template('db:1') })
    simulation.run()
    expect(images()).toEqual(['db:1', 'db:1', 'db:1'])
    // A template that was there before is no new revision, but the newest one.
    expect(
      simulation.world.view
        .list('ControllerRevision', 'shop')
        .map((r) => r.revision)
        .sort(),
    ).toEqual([2, 3, 4])
  })

  it('shrinks from the highest; claims stay, or go when that is asked', () => {
    for (const whenScaled of ['Retain', 'Delete']) {
      const simulation = open(2)
      simulation.world.create(
        statefulSet({ persistentVolumeClaimRetentionPolicy: { whenScaled, whenDeleted: 'Delete' } }),
      )
      simulation.run()
      change(simulation, statefulSet(), { replicas: 1 })
      simulation.run()
      expect(names(pods(simulation))).toEqual(['db-0'])
      const left = whenScaled === 'Retain' ? 3 : 1
      expect(simulation.world.view.list('PersistentVolumeClaim', 'shop')).toHaveLength(left)
      remove(simulation, 'StatefulSet', 'db')
      simulation.run()
      expect(pods(simulation)).toEqual([])
      expect(simulation.world.view.list('PersistentVolumeClaim', 'shop')).toEqual([])
      expect(simulation.world.view.list('PersistentVolume')).toEqual([])
    }
  })

  it('makes all at once when it is Parallel', () => {
    const simulation = open(1)
    simulation.world.create(statefulSet({ podManagementPolicy: 'Parallel', template: template('bad:1') }))
    simulation.run()
    expect(names(pods(simulation))).toEqual(['db-0', 'db-1', 'db-2'])
  })
})

describe('a Job', () => {
  const conditions = (simulation: Simulation) =>
    simulation.world.view.get('Job', 'shop', 'db')?.status?.conditions?.map((c) => `${c.type} ${c.reason}`)

  it('runs to completion, counted once whatever is killed, with no more pods than it may', () => {
    each((seed) => {
      let simulation: Simulation | undefined
      simulation = open(seed, {
        kill: 0.2,
        observe: () => {
          if (simulation) expect(pods(simulation).filter(isActive).length).toBeLessThanOrEqual(2)
        },
      })
      simulation.world.create(
        job({ completions: 5, parallelism: 2, template: template('task:1', { restartPolicy: 'Never' }) }),
      )
      simulation.run()
      simulation.calm()
      simulation.run()
      expect(conditions(simulation)).toEqual([
        'SuccessCriteriaMet CompletionsReached',
        'Complete CompletionsReached',
      ])
      expect(simulation.world.view.get('Job', 'shop', 'db')?.status).toMatchObject({
        succeeded: 5,
        active: 0,
        failed: 0,
      })
      expect(pods(simulation).map((pod) => pod.metadata.finalizers ?? [])).toEqual(Array(5).fill([]))
      expect(simulation.wanted()).toEqual([])
    })
  })

  it('gives up after the back-off limit, waiting longer each time', () => {
    const simulation = open(1)
    simulation.world.create(
      job({ backoffLimit: 2, template: template('fail:1', { restartPolicy: 'Never' }) }),
    )
    const before = simulation.now
    simulation.run()
    expect(conditions(simulation)).toEqual([
      'FailureTarget BackoffLimitExceeded',
      'Failed BackoffLimitExceeded',
    ])
    expect(pods(simulation)).toHaveLength(3)
    expect(simulation.now - before).toBeGreaterThan(30_000)
  })

  it('ends at its deadline, and goes after its time', () => {
    const simulation = open(1)
    simulation.world.create(
      job({
        activeDeadlineSeconds: 60,
        ttlSecondsAfterFinished: 100,
        template: template('db:1', { restartPolicy: 'Never' }),
      }),
    )
    simulation.run(100_000)
    expect(conditions(simulation)).toEqual(['FailureTarget DeadlineExceeded', 'Failed DeadlineExceeded'])
    expect(pods(simulation)).toEqual([])
    simulation.run()
    expect(simulation.world.view.list('Job', 'shop')).toEqual([])
  })

  it('gives each index its pod', () => {
    const simulation = open(1, { kill: 0.2 })
    simulation.world.create(
      job({
        completionMode: 'Indexed',
        completions: 4,
        parallelism: 2,
        template: template('task:1', { restartPolicy: 'Never' }),
      }),
    )
    simulation.run()
    simulation.calm()
    simulation.run()
    expect(simulation.world.view.get('Job', 'shop', 'db')?.status).toMatchObject({
      succeeded: 4,
      completedIndexes: '0-3',
    })
    expect(
      pods(simulation)
        .map((pod) => pod.spec.hostname)
        .sort(),
    ).toEqual(['db-0', 'db-1', 'db-2', 'db-3'])
  })

  it('starts nothing while it is suspended', () => {
    const simulation = open(1)
    simulation.world.create(job({ suspend: true, template: template('task:1', { restartPolicy: 'Never' }) }))
    simulation.run()
    expect(pods(simulation)).toEqual([])
    change(simulation, job({}), { suspend: false })
    simulation.run()
    expect(conditions(simulation)).toContain('Complete CompletionsReached')
  })
})

describe('deletion', () => {
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: { replicas: 2, selector: { matchLabels: { app: 'db' } }, template: template('db:1') },
  }

  it.each(['Background', 'Foreground', 'Orphan'] as const)('%s', (propagation) => {
    const simulation = open(1)
    simulation.world.create(deployment)
    simulation.run()
    remove(simulation, 'Deployment', 'db', propagation === 'Background' ? undefined : propagation)
    if (propagation === 'Foreground') {
      expect(simulation.world.view.get('Deployment', 'shop', 'db')?.metadata.finalizers).toEqual([
        'foregroundDeletion',
      ])
    }
    simulation.run()
    expect(simulation.world.view.list('Deployment', 'shop')).toEqual([])
    expect(simulation.world.view.list('ReplicaSet', 'shop')).toHaveLength(propagation === 'Orphan' ? 1 : 0)
    expect(pods(simulation)).toHaveLength(propagation === 'Orphan' ? 2 : 0)
    if (propagation !== 'Orphan') return
    // Made anew, it takes over what is there.
    simulation.world.create(deployment)
    simulation.run()
    expect(simulation.world.view.list('ReplicaSet', 'shop')).toHaveLength(1)
    expect(pods(simulation)).toHaveLength(2)
  })

  it('of a namespace takes all that is in it, and then the namespace', () => {
    each((seed) => {
      const simulation = open(seed, { kill: 0.2 })
      simulation.world.create(deployment)
      simulation.world.create({ ...statefulSet(), metadata: { name: 'other', namespace: 'shop' } })
      simulation.run()
      remove(simulation, 'Namespace', 'shop')
      simulation.run()
      simulation.calm()
      simulation.run()
      expect(simulation.world.all().map((object) => object.kind)).toEqual(['Node'])
    })
  })
})
