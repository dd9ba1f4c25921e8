import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseSubnet } from '../address.ts'
import { decodeElements, type TableRef } from '../netlink/nftables.ts'
import { decodeMessage, messageType, readText } from '../netlink/wire.ts'
import { type Loaded, planChange } from './change.ts'
import { type Elements, elementsOf, emptyElements, keyOf, type Policy } from './elements.ts'
import { setNames, sets } from './sets.ts'
import { addSkeleton, parsePickChain, stampOf } from './skeleton.ts'

const table: TableRef = { family: 'ip', table: 'berth' }
const options = { table, services: parseSubnet('10.211.0.0/16') }

const endpoint = fc.record({
  address: fc.integer({ min: 2, max: 9 }).map((n) => `10.210.0.${n}`),
  port: fc.constantFrom(80, 8080),
})
const policy: fc.Arbitrary<Policy> = fc.record({
  bridges: fc
    .uniqueArray(fc.constantFrom('berth0', 'bn000001', 'bn000002'), { minLength: 0 })
    .map((names) => names.map((name) => ({ name, internal: name === 'bn000002' }))),
  addresses: fc.array(endpoint.map(({ address }) => ({ address, internal: false }))),
  targets: fc.array(
    fc.record({
      address: fc.constantFrom('10.211.0.1', '10.211.0.2', '127.0.0.1', undefined),
      protocol: fc.constantFrom('tcp' as const, 'udp' as const),
      port: fc.constantFrom(80, 443),
      endpoints: fc.array(endpoint, { maxLength: 5 }),
      sticky: fc.boolean(),
    }),
  ),
})

/** What the kernel would hold after the changes, refusing what it refuses. */
function commit(before: Elements, changes: readonly Uint8Array[], chains: Set<string>): Elements {
  const after = emptyElements()
  for (const name of setNames) for (const [key, value] of before[name]) after[name].set(key, value)
  for (const message of changes) {
    const what = messageType(message) & 0xff
    const { attributes } = decodeMessage(message, 4)
    if (what === 3) chains.add(readText(attributes.get(3)) ?? '')
    if (what !== 12 && what !== 14) continue
    const set = setNames.find((name) => sets[name].name === readText(attributes.get(2)))
    if (!set) throw new Error('unknown set')
    for (const element of decodeElements(message)) {
      const key = keyOf(element.key)
      if (what === 14 && !after[set].delete(key)) throw new Error(`ENOENT ${set} ${key}`)
      if (what === 12 && after[set].has(key)) throw new Error(`EEXIST ${set} ${key}`)
      if (element.data && 'chain' in element.data && !chains.has(element.data.chain))
        throw new Error('no chain')
      if (what === 12) after[set].set(key, element)
    }
  }
  return after
}

describe('firewall', () => {
  it('makes a whole table first, then only what changed, and nothing when nothing did', () => {
    fc.assert(
      fc.property(fc.array(policy, { minLength: 1, maxLength: 5 }), (policies) => {
        let loaded: Loaded | undefined
        let kernel: Elements = emptyElements()
        const chains = new Set<string>()
        for (const wanted of policies.map(elementsOf)) {
          const { changes, next } = planChange(loaded, wanted, options)
          kernel = commit(kernel, changes, chains)
          for (const name of setNames)
            expect([...kernel[name].keys()].sort()).toEqual([...wanted[name].keys()].sort())
          for (const name of setNames) {
            for (const [key, element] of wanted[name])
              expect(kernel[name].get(key)?.data).toEqual(element.data)
          }
          expect(planChange(next, wanted, options).changes).toEqual([])
          loaded = next
        }
      }),
      { numRuns: 100 },
    )
  })

  it('reaches each endpoint of a target under its number, and none without endpoints', () => {
    const target = { address: '10.211.0.1', protocol: 'tcp' as const, port: 80 }
    const endpoints = [2, 3, 4].map((n) => ({ address: `10.210.0.${n}`, port: 8080 }))
    const elements = elementsOf({ bridges: [], addresses: [], targets: [{ ...target, endpoints }] })
    expect([...elements.services.values()].map(({ data }) => data)).toEqual([
      { verdict: 'goto', chain: 'pick-3' },
    ])
    expect([...elements.endpoints.keys()]).toEqual(
      ['00000000', '01000000', '02000000'].map((index) => `0ad300010600000000500000${index}`),
    )
    const none = elementsOf({ bridges: [], addresses: [], targets: [{ ...target, endpoints: [] }] })
    expect(none.services.size + none.endpoints.size).toBe(0)
  })

  it('stamps a version of the rules, not of the table', () => {
    expect(stampOf(options.services)).toMatch(/^berth [0-9a-f]{16}$/)
    expect(stampOf(parseSubnet('10.96.0.0/12'))).not.toBe(stampOf(options.services))
    expect(addSkeleton(table, options.services).length).toBeGreaterThan(20)
    expect(parsePickChain('host-stick-12')).toEqual({ host: true, sticky: true, count: 12 })
    expect(parsePickChain('prerouting')).toBeUndefined()
  })
})
