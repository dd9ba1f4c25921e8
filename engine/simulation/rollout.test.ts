import { describe, expect, it } from 'vitest'
import { controllers } from '../control/controllers.ts'
import { heartbeatController } from '../control/node.ts'
import { isActive, isReady } from '../control/pods.ts'
import { limitsOf } from '../control/rollout.ts'
import type { KubeObject } from '../object/meta.ts'
import type { Deployment, Pod } from '../object/types.generated.ts'
import { type Behaviour, usualBehaviour } from './pod-life.ts'
import { type Random, seededRandom } from './random.ts'
import { Simulation } from './simulation.ts'

const seeds = Array.from({ length: 200 }, (_, i) => i + 1)
/** The heartbeat never comes to rest: that is what it is for. */
const working = controllers.filter((controller) => controller !== heartbeatController)

const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } }
const node = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'here' },
  status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] },
}

function deployment(image: string, replicas: number, strategy?: object): KubeObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'shop' },
    spec: {
      replicas,
      ...(strategy ? { strategy } : {}),
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'web', image, ports: [{ name: 'http', containerPort: 80 }] }] },
      },
    },
  }
}

const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'shop' },
  spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 'http' }] },
}

/** `bad` images never get ready. */
function behaviour(pod: Pod, random: Random): Behaviour {
  const usual = usualBehaviour(pod, random)
  const { readyMs: _, ...never } = usual
  return pod.spec.containers[0]?.image?.startsWith('bad') ? never : usual
}

function apply(simulation: Simulation, object: KubeObject): void {
  const { namespace: where = '', name = '' } = object.metadata
  const present = simulation.world.view.get(object.kind as 'Deployment', where, name)
  if (!present) simulation.world.create(object)
  else simulation.world.update({ ...present, spec: object.spec } as KubeObject)
}

function open(seed: number, options: Partial<ConstructorParameters<typeof Simulation>[0]> = {}): Simulation {
  const simulation = new Simulation({ seed, controllers: working, behaviour, ...options })
  for (const object of [namespace, node, service]) apply(simulation, object)
  return simulation
}

const pods = (simulation: Simulation) => simulation.world.view.list('Pod', 'shop')
const current = (simulation: Simulation) =>
  simulation.world.view.get('Deployment', 'shop', 'web') as Deployment

/** The world without what is random: names' ends, uids, versions, times. */
function summary(simulation: Simulation) {
  const { view } = simulation.world
  const { conditions, ...status } = current(simulation).status ?? { conditions: [] }
  return {
    status,
    conditions: conditions?.map((c) => `${c.type}=${c.status} ${c.reason}`).sort(),
    sets: view
      .list('ReplicaSet', 'shop')
      .map((set) => ({ name: set.metadata.name, spec: set.spec, status: set.status })),
    pods: pods(simulation)
      .map((pod) => `${pod.spec.containers[0]?.image} ${pod.status?.phase} ${isReady(pod)}`)
      .sort(),
    endpoints: view.list('EndpointSlice', 'shop').flatMap((s) => s.endpoints.map((e) => e.conditions?.ready)),
  }
}

function at(seed: number, run: () => void): void {
  try {
    run()
  } catch (error) {
    throw new Error(`seed ${seed}`, { cause: error })
  }
}

describe('a rolling update', () => {
  it('never has fewer ready pods than it must nor more pods than it may, over 200 seeds', {
    timeout: 30_000,
  }, () => {
    for (const seed of seeds) {
      at(seed, () => {
        const random = seededRandom(seed * 7919)
        const replicas = random.between(1, 7)
        const maxSurge = random.between(0, 3)
        const maxUnavailable = random.between(maxSurge === 0 ? 1 : 0, 3)
        const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } }
        let watching = false
        const simulation = open(seed, {
          kill: random.pick([0, 0, 0.2]),
          observe: () => {
            if (!watching) return
            const active = pods(simulation).filter(isActive)
            const { minAvailable, maxTotal } = limitsOf(current(simulation))
            expect(active.filter(isReady).length).toBeGreaterThanOrEqual(minAvailable)
            expect(active.length).toBeLessThanOrEqual(maxTotal)
          },
        })
        apply(simulation, deployment('web:1', replicas, strategy))
        expect(simulation.run()).toBe(true)
        watching = true
        const images = ['web:2', random.pick(['bad:3', 'web:3']), random.pick(['web:1', 'web:4'])]
        for (const image of images) {
          apply(simulation, deployment(image, replicas, strategy))
          // The next one may come in the middle of it.
          simulation.run(random.pick([300, 2_000, 30_000]))
        }
        simulation.calm()
        simulation.run()
        expect(pods(simulation).map((pod) => pod.spec.containers[0]?.image)).toEqual(
          Array(replicas).fill(images[2]),
        )
        expect(simulation.wanted()).toEqual([])
      })
    }
  })

  it('ends the same when the daemon is killed between any two writes', { timeout: 30_000 }, () => {
    for (const seed of seeds.slice(0, 100)) {
      at(seed, () => {
        const [undisturbed, disturbed] = [0, 0.3].map((kill) => {
          const simulation = open(seed, { kill })
          for (const image of ['web:1', 'web:2', 'web:3']) {
            apply(simulation, deployment(image, 3))
            simulation.run(600_000)
          }
          simulation.calm()
          simulation.run()
          expect(simulation.wanted()).toEqual([])
          return summary(simulation)
        })
        expect(disturbed).toEqual(undisturbed)
      })
    }
  })

  it('keeps the old pods while the new ones do not get ready, and says so after the deadline', () => {
    const simulation = open(1)
    apply(simulation, deployment('web:1', 4))
    simulation.run()
    apply(simulation, deployment('bad:2', 4))
    simulation.run()
    const ready = pods(simulation).filter((pod) => isReady(pod))
    expect(ready.map((pod) => pod.spec.containers[0]?.image)).toEqual(['web:1', 'web:1', 'web:1'])
    expect(current(simulation).status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }),
    )
    apply(simulation, deployment('web:1', 4))
    simulation.run()
    expect(summary(simulation)).toMatchObject({
      status: { replicas: 4, availableReplicas: 4, updatedReplicas: 4 },
      conditions: ['Available=True MinimumReplicasAvailable', 'Progressing=True NewReplicaSetAvailable'],
    })
    // The first template again: its ReplicaSet is the newest revision now.
    const revisions = simulation.world.view.list('ReplicaSet', 'shop').map((set) => set.metadata.annotations)
    expect(revisions.map((a) => a?.['deployment.kubernetes.io/revision']).sort()).toEqual(['2', '3'])
  })

  it('has no pod of both templates with Recreate', () => {
    for (const seed of seeds.slice(0, 20)) {
      at(seed, () => {
        const simulation = open(seed, {
          observe: () => {
            const images = new Set(pods(simulation).map((pod) => pod.spec.containers[0]?.image))
            expect(images.size).toBeLessThanOrEqual(1)
          },
        })
        for (const image of ['web:1', 'web:2', 'web:1']) {
          apply(simulation, deployment(image, 3, { type: 'Recreate' }))
          simulation.run()
        }
        expect(summary(simulation).pods).toEqual(Array(3).fill('web:1 Running true'))
      })
    }
  })

  it('keeps as many old ReplicaSets as the history allows', () => {
    const simulation = open(1)
    for (let i = 0; i < 15; i++) {
      apply(simulation, deployment(`web:${i}`, 1))
      simulation.run()
    }
    expect(simulation.world.view.list('ReplicaSet', 'shop')).toHaveLength(11)
    expect(simulation.wanted()).toEqual([])
  })

  it('scales in the middle of a rollout, and stands still while paused', () => {
    const simulation = open(3)
    apply(simulation, deployment('web:1', 10))
    simulation.run()
    apply(simulation, deployment('bad:2', 10))
    simulation.run(60_000)
    apply(simulation, deployment('bad:2', 20))
    simulation.run(60_000)
    const sizes = simulation.world.view.list('ReplicaSet', 'shop').map((set) => set.spec.replicas ?? 0)
    expect(sizes.reduce((a, b) => a + b)).toBe(25)
    expect(Math.min(...sizes)).toBeGreaterThan(5)
    const paused = deployment('web:3', 20)
    apply(simulation, { ...paused, spec: { ...(paused.spec as object), paused: true } })
    simulation.run(60_000)
    expect(simulation.world.view.list('ReplicaSet', 'shop')).toHaveLength(2)
  })
})

describe('foreign objects', () => {
  it('are untouched, with the same labels and in the same namespace', () => {
    for (const seed of seeds.slice(0, 20)) {
      at(seed, () => {
        const simulation = open(seed, { kill: 0.1 })
        const owner = { apiVersion: 'example.org/v1', kind: 'Widget', name: 'w', uid: 'w1', controller: true }
        const foreign = simulation.world.create({
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'foreign', namespace: 'shop', labels: { app: 'web' }, ownerReferences: [owner] },
          spec: { containers: [{ name: 'a', image: 'b' }], nodeName: 'elsewhere', schedulingGates: [] },
        })
        const spec = foreign.spec
        for (const image of ['web:1', 'web:2']) {
          apply(simulation, deployment(image, 2))
          simulation.run()
        }
        const left = simulation.world.view.get('Pod', 'shop', 'foreign')
        expect([left?.spec, left?.metadata.ownerReferences]).toEqual([spec, [owner]])
        apply(simulation, deployment('web:2', 0))
        simulation.run()
        expect(pods(simulation).map((pod) => pod.metadata.name)).toEqual(['foreign'])
      })
    }
  })
})
