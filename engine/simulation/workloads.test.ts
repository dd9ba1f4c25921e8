import { describe, expect, it } from 'vitest'
import { controllers } from '../control/controllers.ts'
import { heartbeatController } from '../control/node.ts'
import { isActive, isReady } from '../control/pods.ts'
import { eventFor } from '../object/event.ts'
import type { KubeObject } from '../object/meta.ts'
import type { Pod } from '../object/types.generated.ts'
import { type Behaviour, usualBehaviour } from './pod-life.ts'
import type { Random } from './random.ts'
import { Simulation } from './simulation.ts'

const seeds = Array.from({ length: 40 }, (_, i) => i + 1)
const working = controllers.filter((controller) => controller !== heartbeatController)
const metadata = { name: 'db', namespace: 'shop' }

function behaviour(pod: Pod, random: Random): Behaviour {
  const image = pod.spec.containers[0]?.image ?? ''
  const { readyMs, ...never } = usualBehaviour(pod, random)
  if (image.startsWith('bad')) return never
  if (image.startsWith('task')) return { ...never, runMs: random.between(10, 5_000), exitCode: 0 }
  if (image.startsWith('fail')) return { ...never, runMs: random.between(10, 100), exitCode: 1 }
  return { ...never, readyMs: readyMs ?? 0 }
}

function open(seed: number, options: Partial<ConstructorParameters<typeof Simulation>[0]> = {}): Simulation {
  const simulation = new Simulation({ seed, controllers: working, behaviour, ...options })
  simulation.world.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } })
  const addresses = [{ type: 'InternalIP', address: '192.0.2.1' }]
  simulation.world.create({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'here' },
    status: { addresses },
  })
  simulation.run()
  return simulation
}

function change(simulation: Simulation, object: KubeObject, spec: object): void {
  const present = simulation.world.view.get(
    object.kind as 'Pod',
    object.metadata.namespace ?? '',
    object.metadata.name ?? '',
  )
  simulation.world.update({ ...present, spec: { ...present?.spec, ...spec } } as KubeObject)
}

function remove(
  simulation: Simulation,
  kind: 'StatefulSet' | 'Deployment' | 'Namespace',
  name: string,
  propagation?: 'Foreground' | 'Orphan',
): void {
  const namespace = kind === 'Namespace' ? '' : 'shop'
  simulation.world.remove({ kind, namespace, name }, undefined, propagation)
}

const pods = (simulation: Simulation) => simulation.world.view.list('Pod', 'shop')
const names = (objects: readonly KubeObject[]) => objects.map((object) => object.metadata.name).sort()
const template = (image: string, pod: object = {}) => ({
  metadata: { labels: { app: 'db' } },
  spec: { containers: [{ name: 'a', image }], ...pod },
})
const statefulSet = (spec: object = {}): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata,
  spec: {
    replicas: 3,
    serviceName: 'db',
    selector: { matchLabels: { app: 'db' } },
    template: template('db:1'),
    volumeClaimTemplates: [
      {
        metadata: { name: 'data' },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      },
    ],
    ...spec,
  },
})
const job = (spec: object): KubeObject => ({ apiVersion: 'batch/v1', kind: 'Job', metadata, spec })

function each(run: (seed: number) => void): void {
  for (const seed of seeds) {
    try {
      run(seed)
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error })
    }
  }
}

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

describe('a Service', () => {
  it('follows its pods, by named ports too, and is balanced by the node', () => {
    const simulation = open(1)
    const spec = { type: 'LoadBalancer', selector: { app: 'db' }, ports: [{ port: 80, targetPort: 'http' }] }
    simulation.world.create({ apiVersion: 'v1', kind: 'Service', metadata, spec })
    const pod = (name: string, containerPort: number) =>
      simulation.world.create({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: 'shop', labels: { app: 'db' } },
        spec: { containers: [{ name: 'a', image: 'db:1', ports: [{ name: 'http', containerPort }] }] },
      })
    pod('a', 80)
    pod('b', 80)
    pod('c', 8080)
    simulation.run()
    const slices = () =>
      simulation.world.view
        .list('EndpointSlice', 'shop')
        .map((slice) => ({
          port: slice.ports?.[0]?.port ?? 0,
          ready: slice.endpoints.map(
            (endpoint) => `${endpoint.targetRef?.name} ${endpoint.conditions?.ready}`,
          ),
        }))
        .sort((a, b) => a.port - b.port)
    expect(slices()).toEqual([
      { port: 80, ready: ['a true', 'b true'] },
      { port: 8080, ready: ['c true'] },
    ])
    expect(simulation.world.view.get('Service', 'shop', 'db')?.status?.loadBalancer?.ingress).toEqual([
      { ip: '192.0.2.1', ipMode: 'VIP' },
    ])
    simulation.world.remove({ kind: 'Pod', namespace: 'shop', name: 'c' })
    simulation.run()
    expect(slices()).toEqual([{ port: 80, ready: ['a true', 'b true'] }])
    const other = simulation.world.view.get('Pod', 'shop', 'b')
    simulation.world.update({ ...other, metadata: { ...other?.metadata, labels: {} } } as KubeObject)
    simulation.run()
    expect(slices()).toEqual([{ port: 80, ready: ['a true'] }])
    expect(simulation.wanted()).toEqual([])
  })
})

describe('a claim', () => {
  const claim = (spec: object): KubeObject => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata,
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '5Gi' } }, ...spec },
  })
  const volume = (name: string, storage: string) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: { capacity: { storage }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/x' } },
  })
  const bound = (simulation: Simulation) =>
    simulation.world.view.get('PersistentVolumeClaim', 'shop', 'db')?.spec.volumeName

  it('takes the smallest volume that fits, else gets a new one', () => {
    const simulation = open(1)
    for (const [name, size] of [
      ['small', '1Gi'],
      ['large', '50Gi'],
      ['fits', '6Gi'],
    ] as const)
      simulation.world.create(volume(name, size))
    simulation.world.create(claim({ storageClassName: '' }))
    simulation.run()
    expect(bound(simulation)).toBe('fits')
    const other = open(1)
    other.world.create(claim({ storageClassName: 'fast' }))
    other.run()
    expect(other.world.view.list('PersistentVolume')[0]?.spec).toMatchObject({
      csi: { volumeHandle: 'shop_db' },
      storageClassName: 'fast',
      capacity: { storage: '5Gi' },
    })
  })

  it('stays while a pod uses it', () => {
    const simulation = open(1)
    simulation.world.create(claim({}))
    const volumes = [{ name: 'v', persistentVolumeClaim: { claimName: 'db' } }]
    const spec = { containers: [{ name: 'a', image: 'db:1' }], volumes }
    simulation.world.create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'shop' },
      spec,
    })
    simulation.run()
    simulation.world.remove({ kind: 'PersistentVolumeClaim', namespace: 'shop', name: 'db' })
    simulation.run()
    expect(simulation.world.view.list('PersistentVolumeClaim', 'shop')).toHaveLength(1)
    simulation.world.remove({ kind: 'Pod', namespace: 'shop', name: 'p' })
    simulation.run()
    expect(simulation.world.view.list('PersistentVolumeClaim', 'shop')).toEqual([])
    expect(simulation.world.view.list('PersistentVolume')).toEqual([])
  })
})

describe('placement', () => {
  it('says why a pod has no node', () => {
    const simulation = open(1)
    const spec = { containers: [{ name: 'a', image: 'db:1' }], nodeSelector: { disk: 'ssd' } }
    simulation.world.create({ apiVersion: 'v1', kind: 'Pod', metadata, spec })
    simulation.run()
    expect(pods(simulation)[0]?.status?.conditions?.[0]).toMatchObject({
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message: "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
    })
    expect(simulation.wanted()).toEqual([])
  })
})

describe('an event', () => {
  it('is forgotten after an hour', () => {
    const simulation = open(1)
    const content = { type: 'Normal', reason: 'A', message: 'b', source: 'c' } as const
    const about = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'shop', uid: 'u' } }
    simulation.world.create(eventFor(about, content, { before: undefined, now: simulation.now }))
    simulation.run(3_500_000)
    expect(simulation.world.view.list('Event', 'shop')).toHaveLength(1)
    simulation.run()
    expect(simulation.world.view.list('Event', 'shop')).toEqual([])
  })
})
