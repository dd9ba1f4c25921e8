import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chooseGarbage, reachable } from './collect.ts'

const graph = fc.array(fc.array(fc.nat(14), { maxLength: 4 }), { minLength: 15, maxLength: 15 })

describe('reachable', () => {
  it('is closed under references and holds nothing that a root does not lead to', () => {
    fc.assert(
      fc.property(graph, fc.array(fc.nat(14)), (edges, roots) => {
        const found = reachable(roots, (node) => edges[node] ?? [])
        for (const root of roots) expect(found.has(root)).toBe(true)
        for (const node of found) for (const next of edges[node] ?? []) expect(found.has(next)).toBe(true)
        for (const node of found) {
          const known =
            roots.includes(node) || [...found].some((from) => from !== node && edges[from]?.includes(node))
          expect(known).toBe(true)
        }
      }),
    )
  })

  it('asks for the references of a node once', () => {
    const asked: string[] = []
    const references: Record<string, string[]> = { a: ['b', 'c'], b: ['c', 'a'], c: ['c'] }
    reachable(['a', 'a'], (node) => {
      asked.push(node)
      return references[node] ?? []
    })
    expect(asked.sort()).toEqual(['a', 'b', 'c'])
  })
})

describe('chooseGarbage', () => {
  const candidates = ['image', 'layer', 'leased', 'expired', 'young', 'old'].map((key) => ({
    key,
    modified: key === 'young' ? 95 : 0,
  }))
  it('takes what neither a root, a living lease nor youth keeps', () => {
    const garbage = chooseGarbage({
      candidates,
      roots: ['image'],
      leases: [{ node: 'leased' }, { node: 'expired', expires: 50 }],
      references: (node) => (node === 'image' ? ['layer'] : []),
      now: 100,
      graceMs: 10,
    })
    expect(garbage).toEqual(['expired', 'old'])
  })
})
