import { describe, expect, it } from 'vitest'
import { MemoryCluster } from '../../../test/support/memory-cluster.ts'
import type { ClusterObject } from '../cluster.ts'
import { waitPodsGone, waitReady } from './wait.ts'

const { signal } = new AbortController()
const metadata = { name: 'db', namespace: 'default' }
const set: ClusterObject = { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata, spec: {} }
const pod = (owner: string, status = {}): ClusterObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: `${owner}-0`,
    namespace: 'default',
    ownerReferences: [{ uid: 'u', controller: true, kind: 'StatefulSet', name: owner } as never],
  },
  status,
})
const options = (cluster: Pick<MemoryCluster, 'get' | 'list'>) => ({
  cluster,
  clock: { now: () => Date.now() },
  timeoutMs: 60,
  jobs: false,
})

describe('waitPodsGone', () => {
  it('waits for the pods of what was removed, and for no others', async () => {
    const cluster = new MemoryCluster()
    cluster.put(pod('other'))
    const ref = { apiVersion: 'apps/v1', kind: 'StatefulSet', ...metadata }
    await waitPodsGone([ref], options(cluster), signal)
    cluster.put(pod('db'))
    await expect(waitPodsGone([ref], options(cluster), signal)).rejects.toThrow('Pod/db-0 is still there')
  })
})

describe('waitReady', () => {
  it('names the cause that the pods tell', async () => {
    const cluster = new MemoryCluster()
    const message = 'Back-off pulling image "db:1": ErrImagePull: failed to pull image "db:1": there is none'
    const state = { waiting: { reason: 'ImagePullBackOff', message } }
    cluster.put(pod('db', { containerStatuses: [{ name: 'db', image: 'db:1', state }] }))
    cluster.put(set)
    cluster.stuck.add('db')
    const error = await waitReady([set], options(cluster), signal).catch((e: unknown) => e)
    expect(error).toMatchObject({
      code: 'TIMEOUT',
      cause: new Error('pod "db-0", container "db": cannot pull db:1: there is none'),
    })
  })

  it('wants all ready at the same time', async () => {
    const looks = new Map<string, number>()
    const status = (ready: boolean) => ({ conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] })
    const states: Record<string, readonly boolean[]> = { a: [true, false], b: [false] }
    const cluster = {
      list: async () => [],
      get: async ({ name }: { name: string }) => {
        const turn = looks.get(name) ?? 0
        looks.set(name, turn + 1)
        return { ...set, kind: 'Thing', metadata: { name }, status: status(states[name]?.[turn] ?? true) }
      },
    }
    const things = ['a', 'b'].map((name) => ({ apiVersion: 'x/v1', kind: 'Thing', name }))
    await waitReady(things, { ...options(cluster), timeoutMs: 5000 }, signal)
    expect(looks.get('a')).toBe(4)
  })
})
