import { describe, expect, it } from 'vitest'
import { ageText } from './age.ts'
import type { Column } from './columns.ts'
import { kindByPlural, kindByWord, kindNamed, kindOf, kinds } from './kinds.ts'
import { schemaOf } from './schema.ts'
import type { Deployment, Pod } from './types.generated.ts'

describe('kinds', () => {
  it('has a schema for each kind', () => {
    for (const kind of kinds) {
      const apiVersion = kind.group === '' ? kind.version : `${kind.group}/${kind.version}`
      expect(schemaOf(apiVersion, kind.kind)?.properties?.metadata, kind.kind).toBeDefined()
      expect(kindOf(apiVersion, kind.kind)).toBe(kind)
      expect(kindByPlural(kind.group, kind.version, kind.plural)).toBe(kind)
    }
  })

  it('understands the words of kubectl', () => {
    expect(kindByWord('deploy')?.kind).toBe('Deployment')
    expect(kindByWord('Deployments.apps')?.kind).toBe('Deployment')
    expect(kindByWord('deployment.v1.apps')?.kind).toBe('Deployment')
    expect(kindByWord('PVC')?.kind).toBe('PersistentVolumeClaim')
    expect(kindByWord('deployments.batch')).toBeUndefined()
    expect(kindByWord('widgets')).toBeUndefined()
  })

  it('prints a deployment as kubectl does', () => {
    const deployment: Deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', creationTimestamp: '2026-01-01T00:00:00Z' },
      spec: {
        replicas: 3,
        selector: { matchLabels: { app: 'web' } },
        template: { spec: { containers: [{ name: 'a', image: 'nginx:1' }] } },
      },
      status: { readyReplicas: 1, updatedReplicas: 2 },
    }
    expect(row('Deployment', deployment, '2026-01-01T01:00:00Z')).toEqual({
      Name: 'web',
      Ready: '1/3',
      'Up-to-date': 2,
      Available: 0,
      Age: '60m',
      Containers: 'a',
      Images: 'nginx:1',
      Selector: 'app=web',
    })
  })

  it.each<[string, Partial<Pod['status']>, object]>([
    ['pending', { phase: 'Pending' }, { Ready: '0/1', Status: 'Pending', Restarts: '0' }],
    [
      'creating',
      { phase: 'Pending', containerStatuses: [status({ waiting: { reason: 'ContainerCreating' } })] },
      { Status: 'ContainerCreating' },
    ],
    [
      'running',
      { phase: 'Running', containerStatuses: [status({ running: {} }, { ready: true })] },
      { Ready: '1/1', Status: 'Running' },
    ],
    [
      'crashing',
      {
        phase: 'Running',
        containerStatuses: [
          status(
            { waiting: { reason: 'CrashLoopBackOff' } },
            {
              restartCount: 3,
              lastState: { terminated: { exitCode: 1, finishedAt: '2026-01-01T00:59:00Z' } },
            },
          ),
        ],
      },
      { Status: 'CrashLoopBackOff', Restarts: '3 (60s ago)' },
    ],
    [
      'done',
      {
        phase: 'Succeeded',
        containerStatuses: [status({ terminated: { exitCode: 0, reason: 'Completed' } })],
      },
      { Ready: '0/1', Status: 'Completed' },
    ],
  ])('prints a pod that is %s', (_, podStatus, want) => {
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', creationTimestamp: '2026-01-01T00:00:00Z' },
      spec: { containers: [{ name: 'a' }] },
      status: podStatus ?? {},
    }
    expect(row('Pod', pod, '2026-01-01T01:00:00Z')).toMatchObject(want)
  })

  it.each([
    [5_000, '5s'],
    [119_000, '119s'],
    [150_000, '2m30s'],
    [3_600_000, '60m'],
    [4 * 3_600_000, '4h'],
    [50 * 3_600_000, '2d2h'],
    [400 * 86_400_000, '400d'],
    [800 * 86_400_000, '2y70d'],
    [-5_000, '<invalid>'],
  ])('prints an age of %d ms as %s', (ms, text) => {
    expect(ageText(ms)).toBe(text)
  })
})

function status(state: object, more: object = {}) {
  return { name: 'a', image: '', imageID: '', ready: false, restartCount: 0, state, ...more }
}

function row(kind: Parameters<typeof kindNamed>[0], object: object, now: string): Record<string, unknown> {
  const columns = kindNamed(kind).columns as unknown as readonly Column<unknown>[]
  return Object.fromEntries(columns.map((column) => [column.name, column.cell(object, Date.parse(now))]))
}
