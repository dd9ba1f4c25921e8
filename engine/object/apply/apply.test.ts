import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applied, updated } from './apply.ts'
import { difference, fieldsV1Of, intersection, sameSet, setOfFieldsV1, union } from './field-set.ts'

const now = '2026-01-01T00:00:00Z'
const later = '2026-01-02T00:00:00Z'
const by = (manager: string, more = {}) => ({ manager, force: false, subresource: '', now, ...more })

// biome-ignore lint/suspicious/noExplicitAny: test objects of many shapes
const deployment = (spec: any, metadata: any = {}): any => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'default', ...metadata },
  spec,
})
const containers = (...list: object[]) => ({ template: { spec: { containers: list } } })

describe('server-side apply', () => {
  it('makes an object and records what was set', () => {
    const made = applied(
      undefined,
      deployment({ replicas: 2, ...containers({ name: 'a', image: 'x' }) }, { labels: { app: 'a' } }),
      by('me'),
    )
    expect(made.metadata.managedFields).toEqual([
      {
        manager: 'me',
        operation: 'Apply',
        apiVersion: 'apps/v1',
        time: now,
        fieldsType: 'FieldsV1',
        fieldsV1: {
          'f:metadata': { 'f:labels': { 'f:app': {} } },
          'f:spec': {
            'f:replicas': {},
            'f:template': {
              'f:spec': {
                'f:containers': { 'k:{"name":"a"}': { '.': {}, 'f:image': {}, 'f:name': {} } },
              },
            },
          },
        },
      },
    ])
  })

  it('is without effect when repeated, the time too', () => {
    const config = deployment({ replicas: 2 })
    const made = applied(undefined, config, by('me'))
    expect(applied(made, config, by('me', { now: later }))).toEqual(made)
  })

  it('takes away what the manager no longer applies, not what others set', () => {
    const first = applied(
      undefined,
      deployment(
        { replicas: 2, ...containers({ name: 'a', image: 'x' }, { name: 'b', image: 'y' }) },
        { labels: { one: '1', two: '2' } },
      ),
      by('me'),
    )
    const grown = updated(first, { ...first, spec: { ...first.spec, paused: true } }, by('other'))
    const next = applied(
      grown,
      deployment(containers({ name: 'b', image: 'y' }), { labels: { two: '2' } }),
      by('me'),
    )
    expect(next.spec).toEqual({ paused: true, ...containers({ name: 'b', image: 'y' }) })
    expect(next.metadata.labels).toEqual({ two: '2' })
  })

  it('keeps what a second applier also sets', () => {
    const first = applied(undefined, deployment({ replicas: 2 }, { labels: { a: '1' } }), by('one'))
    const second = applied(first, deployment({ replicas: 2 }), by('two'))
    expect(second.metadata.managedFields).toHaveLength(2)
    const dropped = applied(second, deployment(undefined), by('one'))
    expect(dropped.spec).toEqual({ replicas: 2 })
    expect(dropped.metadata.labels).toBeUndefined()
    expect(dropped.metadata.managedFields.map((m: { manager: string }) => m.manager)).toEqual(['two'])
  })

  it('refuses to change what another manager set, and says whose it is', () => {
    const made = updated(
      undefined,
      deployment({ replicas: 1, ...containers({ name: 'a', image: 'x' }) }),
      by('kubectl-create'),
    )
    const config = deployment({ replicas: 3, ...containers({ name: 'a', image: 'x' }) })
    expect(() => applied(made, config, by('me'))).toThrow(
      expect.objectContaining({
        code: 'CONFLICT',
        message: 'Apply failed with 1 conflict: conflict with "kubectl-create" using apps/v1: .spec.replicas',
        details: {
          conflicts: [{ message: 'conflict with "kubectl-create" using apps/v1', field: '.spec.replicas' }],
        },
      }),
    )
    const both = deployment({ replicas: 3, ...containers({ name: 'a', image: 'z' }) })
    expect(() => applied(made, both, by('me'))).toThrow(
      'Apply failed with 2 conflicts: conflicts with "kubectl-create" using apps/v1:\n- .spec.replicas\n- .spec.template.spec.containers[name="a"].image',
    )
    const forced = applied(made, both, by('me', { force: true }))
    expect(forced.spec.replicas).toBe(3)
    const [apply, update] = forced.metadata.managedFields
    expect(apply).toMatchObject({ manager: 'me', operation: 'Apply' })
    expect(update.fieldsV1['f:spec']['f:replicas']).toBeUndefined()
    expect(update.fieldsV1['f:spec']['f:template']).toBeDefined()
  })

  it('tells ports apart by port and protocol, with the default protocol', () => {
    const web = (ports: object[]) => deployment(containers({ name: 'a', ports }))
    const made = applied(
      undefined,
      web([{ containerPort: 53 }, { containerPort: 53, protocol: 'UDP' }]),
      by('me'),
    )
    const ports = { containerPort: 53, protocol: 'TCP', name: 'dns' }
    const next = applied(made, web([ports]), by('me'))
    expect(next.spec.template.spec.containers[0].ports).toEqual([ports])
  })

  it('refuses managed fields in a configuration', () => {
    const made = applied(undefined, deployment({ replicas: 1 }), by('me'))
    expect(() => applied(undefined, made, by('me'))).toThrow('metadata.managedFields must be nil')
  })
})

describe('an update', () => {
  it('gives changed fields to who changed them', () => {
    const made = applied(undefined, deployment({ replicas: 1 }), by('me'))
    const scaled = updated(
      made,
      { ...made, spec: { replicas: 5 } },
      by('hpa', { now: later, subresource: 'scale' }),
    )
    expect(scaled.metadata.managedFields).toEqual([
      {
        manager: 'hpa',
        operation: 'Update',
        apiVersion: 'apps/v1',
        time: later,
        fieldsType: 'FieldsV1',
        fieldsV1: { 'f:spec': { 'f:replicas': {} } },
        subresource: 'scale',
      },
    ])
  })

  it('changes nothing when nothing changes, and forgets all owners when asked', () => {
    const made = updated(undefined, deployment({ replicas: 1 }), by('a'))
    expect(updated(made, structuredClone(made), by('b', { now: later }))).toEqual(made)
    const reset = { ...made, metadata: { ...made.metadata, managedFields: [{}] } }
    expect(updated(made, reset, by('b')).metadata.managedFields).toBeUndefined()
  })

  it('does not own status through the object', () => {
    const made = updated(undefined, { ...deployment(undefined), status: { replicas: 1 } }, by('a'))
    expect(made.metadata.managedFields).toBeUndefined()
    const status = updated(made, { ...made, status: { replicas: 2 } }, by('a', { subresource: 'status' }))
    expect(status.metadata.managedFields[0].fieldsV1).toEqual({ 'f:status': { 'f:replicas': {} } })
  })
})

describe('properties', () => {
  const image = fc.constantFrom('x', 'y', 'z')
  const config = fc
    .record(
      {
        replicas: fc.integer({ min: 0, max: 3 }),
        labels: fc.dictionary(fc.constantFrom('a', 'b', 'c'), image),
        containers: fc.uniqueArray(fc.record({ name: fc.constantFrom('a', 'b', 'c'), image }), {
          selector: (c) => c.name,
        }),
      },
      { requiredKeys: ['labels', 'containers'] },
    )
    .map(({ replicas, labels, containers: list }) =>
      deployment({ ...(replicas === undefined ? {} : { replicas }), ...containers(...list) }, { labels }),
    )

  it('after a forced apply everything applied is there, and applying again changes nothing', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('one', 'two'), config), { minLength: 1 }), (steps) => {
        let live: ReturnType<typeof deployment> | undefined
        for (const [manager, wanted] of steps) {
          live = applied(live, wanted, by(manager, { force: true }))
          if (wanted.spec.replicas !== undefined) expect(live.spec.replicas).toBe(wanted.spec.replicas)
          expect(live.metadata.labels).toMatchObject(wanted.metadata.labels)
          for (const c of wanted.spec.template.spec.containers) {
            expect(live.spec.template.spec.containers).toContainEqual(c)
          }
          expect(applied(live, wanted, by(manager, { now: later }))).toEqual(live)
        }
      }),
    )
  })

  it('one manager alone always gets exactly what it applied last', () => {
    fc.assert(
      fc.property(fc.array(config, { minLength: 1 }), (steps) => {
        let live: ReturnType<typeof deployment> | undefined
        for (const wanted of steps) live = applied(live, wanted, by('one'))
        const last = steps.at(-1)
        expect(live.spec).toEqual(last.spec)
        expect(live.metadata.labels ?? {}).toEqual(last.metadata.labels)
      }),
    )
  })

  it('sets obey the algebra and survive their wire form', () => {
    const tree: fc.Arbitrary<Record<string, unknown>> = fc.letrec((tie) => ({
      node: fc.dictionary(
        fc.constantFrom('f:a', 'f:b', 'k:{"name":"x"}', 'v:1', '.'),
        fc.oneof(fc.constant({}), tie('node')),
      ),
    })).node as fc.Arbitrary<Record<string, unknown>>
    fc.assert(
      fc.property(tree, tree, (x, y) => {
        const a = setOfFieldsV1(fieldsV1Of({ ...setOfFieldsV1(x), member: false }))
        const b = setOfFieldsV1(fieldsV1Of({ ...setOfFieldsV1(y), member: false }))
        expect(sameSet(union(difference(a, b), intersection(a, b)), a)).toBe(true)
        expect(sameSet(union(a, b), union(b, a))).toBe(true)
        expect(sameSet(intersection(a, b), intersection(b, a))).toBe(true)
      }),
    )
  })
})
