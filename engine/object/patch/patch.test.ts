import { describe, expect, it } from 'vitest'
import { schemaOf } from '../schema.ts'
import { jsonPatched } from './json.ts'
import { mergePatched } from './merge.ts'
import { strategicPatched } from './strategic.ts'

const pod = schemaOf('v1', 'Pod') ?? {}
const deployment = schemaOf('apps/v1', 'Deployment') ?? {}

describe('a JSON patch', () => {
  it('changes a copy', () => {
    const before = Object.freeze({ a: [1, 2], b: 'x' })
    const patch = [
      { op: 'test', path: '/b', value: 'x' },
      { op: 'add', path: '/a/-', value: 3 },
      { op: 'remove', path: '/b' },
    ]
    expect(jsonPatched(before, patch)).toEqual({ a: [1, 2, 3] })
    expect(before).toEqual({ a: [1, 2], b: 'x' })
  })

  it.each([
    ['no list', {}, 'INVALID'],
    ['no operation', [1], 'INVALID'],
    ['a test that fails', [{ op: 'test', path: '/a', value: 2 }], 'UNPROCESSABLE'],
    ['a path that is not there', [{ op: 'remove', path: '/x/y' }], 'UNPROCESSABLE'],
    ['an unknown operation', [{ op: 'explode', path: '/a' }], 'UNPROCESSABLE'],
    ['a prototype', [{ op: 'add', path: '/__proto__/x', value: 1 }], 'UNPROCESSABLE'],
    ['too much', Array.from({ length: 10_001 }, () => ({ op: 'remove', path: '/a' })), 'INVALID'],
  ])('refuses %s', (_, patch, code) => {
    expect(() => jsonPatched({ a: 1 }, patch)).toThrow(expect.objectContaining({ code }))
  })
})

// The examples of RFC 7386, appendix A.
describe('a merge patch', () => {
  it.each([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('%j with %j is %j', (value, patch, expected) => {
    expect(mergePatched(value, patch)).toEqual(expected)
  })
})

describe('a strategic merge patch', () => {
  const two = {
    spec: {
      containers: [
        { name: 'a', image: 'x:1' },
        { name: 'b', image: 'y:1' },
      ],
    },
  }

  it('merges lists by their key and adds new items', () => {
    const patch = {
      spec: {
        containers: [
          { name: 'b', image: 'y:2' },
          { name: 'c', image: 'z' },
        ],
      },
    }
    expect(strategicPatched(two, patch, pod)).toEqual({
      spec: {
        containers: [
          { name: 'a', image: 'x:1' },
          { name: 'b', image: 'y:2' },
          { name: 'c', image: 'z' },
        ],
      },
    })
    expect(two.spec.containers[1]?.image).toBe('y:1')
  })

  it('removes an item by $patch: delete, replaces a list by $patch: replace', () => {
    const remove = { spec: { containers: [{ name: 'a', $patch: 'delete' }] } }
    expect(strategicPatched(two, remove, pod)).toEqual({
      spec: { containers: [{ name: 'b', image: 'y:1' }] },
    })
    const replace = { spec: { containers: [{ $patch: 'replace' }, { name: 'n', image: 'i' }] } }
    expect(strategicPatched(two, replace, pod)).toEqual({ spec: { containers: [{ name: 'n', image: 'i' }] } })
  })

  it('obeys $setElementOrder, others stay before what they stood before', () => {
    const patch = {
      spec: {
        '$setElementOrder/containers': [{ name: 'c' }, { name: 'b' }],
        containers: [{ name: 'c', image: 'z' }],
      },
    }
    const out = strategicPatched(two, patch, pod) as typeof two
    expect(out.spec.containers.map((c) => c.name)).toEqual(['c', 'a', 'b'])
  })

  it('keeps only $retainKeys', () => {
    const rolling = { spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } } }
    const patch = { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } }
    expect(strategicPatched(rolling, patch, deployment)).toEqual({ spec: { strategy: { type: 'Recreate' } } })
  })

  it('merges lists of scalars and removes from them', () => {
    const value = { metadata: { finalizers: ['a', 'b'] } }
    expect(strategicPatched(value, { metadata: { finalizers: ['c', 'b'] } }, pod)).toEqual({
      metadata: { finalizers: ['c', 'a', 'b'] },
    })
    const remove = { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'] } }
    expect(strategicPatched(value, remove, pod)).toEqual({ metadata: { finalizers: ['b'] } })
  })

  it('replaces lists without a key, removes by null, works below an absent field', () => {
    const value = { spec: { containers: [{ name: 'a', command: ['x', 'y'], image: 'i' }] } }
    const patch = {
      spec: { containers: [{ name: 'a', command: ['z'], image: null, ports: [{ containerPort: 80 }] }] },
    }
    expect(strategicPatched(value, patch, pod)).toEqual({
      spec: { containers: [{ name: 'a', command: ['z'], ports: [{ containerPort: 80 }] }] },
    })
  })

  it.each([
    ['an item without its key', { spec: { containers: [{ image: 'x' }] } }],
    ['an unknown directive', { spec: { $patch: 'explode' } }],
    ['no object', []],
  ])('refuses %s', (_, patch) => {
    expect(() => strategicPatched(two, patch, pod)).toThrow(expect.objectContaining({ code: 'INVALID' }))
  })
})
