import { controllers } from '../control/controllers.ts'
import { heartbeatController } from '../control/node.ts'
import type { KubeObject } from '../object/meta.ts'
import type { Pod } from '../object/types.generated.ts'
import { type Behaviour, usualBehaviour } from './pod-life.ts'
import type { Random } from './random.ts'
import { Simulation } from './simulation.ts'

const seeds = Array.from({ length: 40 }, (_, i) => i + 1)
const working = controllers.filter((controller) => controller !== heartbeatController)
export const metadata = { name: 'db', namespace: 'shop' }

function behaviour(pod: Pod, random: Random): Behaviour {
  const image = pod.spec.containers[0]?.image ?? ''
  const { readyMs, ...never } = usualBehaviour(pod, random)
  if (image.startsWith('bad')) return never
  if (image.startsWith('task')) return { ...never, runMs: random.between(10, 5_000), exitCode: 0 }
  if (image.startsWith('fail')) return { ...never, runMs: random.between(10, 100), exitCode: 1 }
  return { ...never, readyMs: readyMs ?? 0 }
}

export function open(
  seed: number,
  options: Partial<ConstructorParameters<typeof Simulation>[0]> = {},
): Simulation {
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

export function change(simulation: Simulation, object: KubeObject, spec: object): void {
  const present = simulation.world.view.get(
    object.kind as 'Pod',
    object.metadata.namespace ?? '',
    object.metadata.name ?? '',
  )
  simulation.world.update({ ...present, spec: { ...present?.spec, ...spec } } as KubeObject)
}

export function remove(
  simulation: Simulation,
  kind: 'StatefulSet' | 'Deployment' | 'Namespace',
  name: string,
  propagation?: 'Foreground' | 'Orphan',
): void {
  const namespace = kind === 'Namespace' ? '' : 'shop'
  simulation.world.remove({ kind, namespace, name }, undefined, propagation)
}

export const pods = (simulation: Simulation) => simulation.world.view.list('Pod', 'shop')
export const names = (objects: readonly KubeObject[]) => objects.map((object) => object.metadata.name).sort()
export const template = (image: string, pod: object = {}) => ({
  metadata: { labels: { app: 'db' } },
  spec: { containers: [{ name: 'a', image }], ...pod },
})
export const statefulSet = (spec: object = {}): KubeObject => ({
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
export const job = (spec: object): KubeObject => ({ apiVersion: 'batch/v1', kind: 'Job', metadata, spec })

export function each(run: (seed: number) => void): void {
  for (const seed of seeds) {
    try {
      run(seed)
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error })
    }
  }
}
