import { describe, expect, it } from 'vitest'
import { DyingCluster, MemoryCluster } from '../../test/support/memory-cluster.ts'
import type { ClusterObject } from './cluster.ts'
import { claimsKept, leftOver, objectsOf, owned, requireOwned } from './objects.ts'
import { readinessOf } from './readiness.ts'
import {
  decodeRecord,
  encodeRecord,
  type ReleaseRecord,
  type Status,
  type StoredRecord,
  statuses,
} from './record.ts'
import { allowed, classify, type Operation, requireAllowed } from './situation.ts'
import { wavesOf } from './waves.ts'

const record = (version: number, status: Status): ReleaseRecord => ({
  name: 'shop',
  namespace: 'default',
  version,
  info: { first_deployed: 't', last_deployed: 't', description: 'd', status },
  chart: {
    metadata: { name: 'shop', version: '1.0.0' },
    lock: null,
    templates: [],
    values: {},
    schema: null,
    files: [],
  },
  config: { big: 9223372036854775807n },
  manifest: '---\n# Source: a\nkind: X\n',
})
const stored = (version: number, status: Status): StoredRecord => ({
  record: record(version, status),
  journal: undefined,
  labels: { team: 'a' },
})

describe('records', () => {
  it('are the Secrets that Helm keeps', () => {
    const secret = encodeRecord(stored(3, 'deployed'), 1_795_561_544_188)
    expect(secret).toMatchObject({
      type: 'helm.sh/release.v1',
      metadata: {
        name: 'sh.helm.release.v1.shop.v3',
        namespace: 'default',
        labels: {
          team: 'a',
          name: 'shop',
          owner: 'helm',
          status: 'deployed',
          version: '3',
          modifiedAt: '1795561544',
        },
      },
    })
    const back = decodeRecord(secret)
    expect(back.labels).toEqual({ team: 'a' })
    expect(back.record).toMatchObject({ name: 'shop', version: 3, manifest: record(3, 'deployed').manifest })
  })

  it('keep a journal beside, and say when they cannot be read', () => {
    const options = { wait: true } as never
    const journal = { operation: 'install', done: ['apply-0'], options } as const
    expect(decodeRecord(encodeRecord({ ...stored(1, 'pending-install'), journal }, 0)).journal).toEqual(
      journal,
    )
    const broken = { ...encodeRecord(stored(1, 'deployed'), 0), data: { release: 'AAAA' } }
    expect(() => decodeRecord(broken)).toThrow('Cannot read release record "sh.helm.release.v1.shop.v1"')
  })
})

describe('situations', () => {
  it('have a name, and every operation an answer', () => {
    expect(classify([]).name).toBe('absent')
    const found = classify([stored(3, 'failed'), stored(1, 'superseded'), stored(2, 'deployed')])
    expect([found.name, found.last?.record.version, found.deployed?.record.version]).toEqual(['failed', 3, 2])
    for (const status of ['absent', ...statuses] as const)
      for (const operation of ['install', 'upgrade', 'rollback', 'uninstall'] as Operation[])
        expect(allowed[status][operation], `${operation} of ${status}`).toBeDefined()
    for (const status of statuses.filter((one) => one !== 'uninstalled'))
      expect(allowed[status].uninstall).toBe('yes')
    expect(() => requireAllowed('upgrade', 'shop', classify([stored(1, 'pending-install')]))).toThrow(
      'another operation',
    )
  })
})

const workload = (kind: string, name: string, needs = '', annotations = {}): ClusterObject => ({
  apiVersion: 'apps/v1',
  kind,
  metadata: { name, annotations },
  spec: { template: { metadata: { annotations: { 'berth.dev/needs': needs } } } },
})

describe('waves', () => {
  const shape = (objects: ClusterObject[]) =>
    wavesOf(objects).map(({ after, objects: inside }) => [after, inside.map((o) => o.metadata.name)])

  it('apply first what others need, jobs between', () => {
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' } }
    expect(
      shape([
        service,
        workload('Deployment', 'web', 'db'),
        workload('StatefulSet', 'db'),
        workload('Job', 'migrate', 'db', { 'berth.dev/before': 'web' }),
        workload('Job', 'seed', '', { 'berth.dev/after': 'web' }),
      ]),
    ).toEqual([
      [[], ['web', 'db']],
      [['db'], ['migrate']],
      [['db', 'migrate'], ['web']],
      [['web'], ['seed']],
    ])
  })

  it('are one without needs, and with needs that go in a circle or nowhere', () => {
    expect(shape([workload('Deployment', 'a'), workload('Deployment', 'b')])).toEqual([[[], ['a', 'b']]])
    expect(shape([workload('Deployment', 'a', 'gone')])).toEqual([[[], ['a']]])
    expect(
      shape([workload('Deployment', 'a', 'b'), workload('Deployment', 'b', 'a')]).flatMap(
        ([, names]) => names,
      ),
    ).toHaveLength(2)
  })
})

describe('readiness', () => {
  const of = (kind: string, spec: object, status: object | undefined, generation = 1) =>
    readinessOf(
      { apiVersion: 'v1', kind, metadata: { name: 'x', generation }, spec, ...(status ? { status } : {}) },
      { jobs: true },
    )
  it.each([
    [
      'Deployment',
      { replicas: 3 },
      { observedGeneration: 1, replicas: 3, updatedReplicas: 3, availableReplicas: 1 },
      'has 1 of 3 replicas ready',
    ],
    [
      'Deployment',
      { replicas: 2 },
      { observedGeneration: 1, replicas: 3, updatedReplicas: 2, availableReplicas: 3 },
      'still has 1 old replica',
    ],
    [
      'Deployment',
      { replicas: 2 },
      { observedGeneration: 0 },
      'has not been seen by its controller since it changed',
    ],
    ['Deployment', {}, undefined, 'has not been seen by its controller'],
    [
      'Deployment',
      { replicas: 1 },
      { observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1 },
      '',
    ],
    [
      'StatefulSet',
      { replicas: 2 },
      { observedGeneration: 1, readyReplicas: 2, updatedReplicas: 1 },
      'has 1 of 2 replicas updated',
    ],
    [
      'StatefulSet',
      { replicas: 1 },
      {
        observedGeneration: 1,
        readyReplicas: 1,
        updatedReplicas: 1,
        currentRevision: 'a',
        updateRevision: 'a',
      },
      '',
    ],
    ['Job', {}, { startTime: 't' }, 'is not done'],
    ['Job', {}, { conditions: [{ type: 'Complete', status: 'True' }] }, ''],
    ['Job', {}, { conditions: [{ type: 'Failed', status: 'True', message: 'too often' }] }, 'too often'],
    ['Pod', {}, { phase: 'Running', conditions: [{ type: 'Ready', status: 'False' }] }, 'is Running'],
    ['PersistentVolumeClaim', {}, { phase: 'Pending' }, 'is not bound to a volume'],
    ['ConfigMap', {}, undefined, ''],
    ['Widget', {}, { conditions: [{ type: 'Ready', status: 'False', message: 'warming up' }] }, 'warming up'],
  ])('of %s %j %j', (kind, spec, status, reason) => {
    expect(of(kind, spec, status).reason).toBe(reason)
    expect(of(kind, spec, status).state === 'ready').toBe(reason === '')
  })
})

describe('objects', () => {
  it('of a manifest have their namespace, owners and what is left over', () => {
    const manifest =
      '---\n# only a comment\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: space}\n'
    const objects = objectsOf(manifest, 'ns', (_, kind) => kind !== 'Namespace')
    expect(objects.map(({ metadata }) => metadata.namespace)).toEqual(['ns', undefined])
    const [first] = objects
    if (!first) throw new Error('no object')
    const release = { name: 'r', namespace: 'ns' }
    expect(() => requireOwned(owned(first, release), release)).not.toThrow()
    expect(() => requireOwned(owned(first, release), { name: 's', namespace: 'ns' })).toThrow(
      'must equal "s": current value is "r"',
    )
    expect(leftOver(objects, [{ ...first, apiVersion: 'v1' }])).toEqual([
      { apiVersion: 'v1', kind: 'Namespace', name: 'space' },
    ])
  })

  it('name the claims that stay', () => {
    const set = (name: string, whenDeleted: string): ClusterObject => ({
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name },
      spec: {
        persistentVolumeClaimRetentionPolicy: { whenDeleted },
        volumeClaimTemplates: [{ metadata: { name: 'data' } }],
      },
    })
    expect(
      claimsKept([set('a', 'Retain'), set('b', 'Delete')], ['data-a-0', 'data-a-x', 'data-b-0', 'data-a-1']),
    ).toEqual(['data-a-0', 'data-a-1'])
  })
})

it('a dying cluster dies after its last write', async () => {
  const dying = new DyingCluster(new MemoryCluster(), 1)
  const signal = new AbortController().signal
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', namespace: 'default' } }
  await expect(dying.create(object, signal)).rejects.toThrow('killed')
  await expect(dying.get({ apiVersion: 'v1', kind: 'ConfigMap', name: 'a' }, signal)).rejects.toThrow(
    'killed',
  )
})
