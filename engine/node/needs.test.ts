import { expect, it } from 'vitest'
import type { Deployment, Pod } from '../object/types.generated.ts'
import { unmetNeeds } from './needs.ts'
import { Machine } from './plan.testkit.ts'

const db = (replicas: number) =>
  ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'db' },
    spec: { replicas, selector: { matchLabels: { app: 'db' } } },
  }) as unknown as Deployment
const pod = (name: string, labels: object = {}, annotations: object = {}) =>
  ({ metadata: { name, labels, annotations } }) as unknown as Pod
const web = pod('web', {}, { 'berth.dev/needs': 'db, gone' })

it('are met by as many ready pods as a workload is to have, and by workloads that are not there', () => {
  const pods = [pod('db-1', { app: 'db' }), pod('db-2', { app: 'db' }), pod('other', { app: 'x' })]
  const unmet = (replicas: number, ready: readonly string[]) =>
    unmetNeeds(web, {
      workloads: (name) => (name === 'db' ? [db(replicas)] : []),
      pods: () => pods,
      isReady: ({ metadata }) => ready.includes(metadata.name ?? ''),
    })
  expect(unmet(2, ['db-1', 'other'])).toEqual(['db'])
  expect(unmet(2, ['db-1', 'db-2'])).toEqual([])
  expect(unmet(0, [])).toEqual([])
  expect(
    unmetNeeds(pod('plain'), { workloads: () => [db(1)], pods: () => [], isReady: () => false }),
  ).toEqual([])
})

it('hold a pod back that has not begun; its image is pulled meanwhile', () => {
  const machine = new Machine({ containers: [{ name: 'web', image: 'web:1' }] })
  machine.observed = { ...machine.observed, unmet: ['db', 'cache'] }
  machine.run(60_000)
  expect(machine.log).toEqual(['prepare-volumes', 'pull web', 'event WaitingForNeeds'])
  expect(machine.summary).toBe('0/1 WaitingForNeeds Pending')
  expect(machine.pod.status?.containerStatuses?.[0]?.state?.waiting?.message).toBe(
    'waits for db and cache to be ready',
  )
  machine.observed = { ...machine.observed, unmet: [] }
  machine.run(1_000)
  expect(machine.summary).toBe('1/1 Running Running')
  // What runs is not stopped because another does not.
  machine.observed = { ...machine.observed, unmet: ['db'] }
  expect(machine.run(60_000).summary).toBe('1/1 Running Running')
  expect(machine.reboot().run(60_000).summary).toBe('0/1 WaitingForNeeds Running')
})
