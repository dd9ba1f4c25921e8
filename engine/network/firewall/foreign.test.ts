import { describe, expect, it } from 'vitest'
import { messageType } from '../netlink/wire.ts'
import { type ForeignChain, foreignChains, planAccepts } from './foreign.ts'

const filter: ForeignChain = {
  family: 'ip',
  table: 'filter',
  chain: 'FORWARD',
  hook: 2,
  rules: [],
  drops: true,
}
const rule = (handle: bigint, comment: string | undefined, stops = false) => ({
  family: 'ip' as const,
  table: 'filter',
  chain: 'FORWARD',
  handle,
  comment,
  stops,
})
const options = { bridges: ['berth0'], mark: 'berth', dnsAddress: 0x0ad20001 }
const kinds = (chains: ForeignChain[], given = options) =>
  planAccepts(chains, given).map((message) => (messageType(message) === 2566 ? 'add' : 'delete'))
const ours = [rule(2n, 'berth: oifname berth0'), rule(3n, 'berth: iifname berth0')]

describe('foreign chains', () => {
  it('adds a rule each way where packets are dropped, once', () => {
    expect(kinds([filter])).toEqual(['add', 'add'])
    expect(kinds([{ ...filter, rules: ours }])).toEqual([])
    expect(kinds([{ ...filter, drops: false }])).toEqual([])
    expect(kinds([{ ...filter, drops: false, rules: [rule(1n, undefined, true)] }])).toEqual(['add', 'add'])
  })

  it('goes in front of a rule that drops, and leaves what others wrote', () => {
    const late = { ...filter, rules: [rule(1n, undefined, true), ...ours] }
    expect(kinds([late])).toEqual(['delete', 'delete', 'add', 'add'])
    expect(kinds([{ ...filter, rules: [rule(1n, 'berth-ab12cd: iifname berth0-ab12cd'), ...ours] }])).toEqual(
      [],
    )
  })

  it('takes its rules back: bridge gone, chain harmless again, doubled', () => {
    const rules = [...ours, rule(4n, 'berth: iifname bn123456'), rule(5n, 'berth: iifname berth0')]
    expect(kinds([{ ...filter, rules }])).toEqual(['delete', 'delete'])
    expect(kinds([{ ...filter, rules: ours, drops: false }])).toEqual(['delete', 'delete'])
    expect(kinds([{ ...filter, rules: ours }], { ...options, bridges: [] })).toEqual(['delete', 'delete'])
  })

  it('lets in questions to DNS where input is dropped', () => {
    const input = { ...filter, chain: 'INPUT', hook: 1 }
    expect(kinds([input])).toEqual(['add', 'add'])
    expect(kinds([{ ...input, rules: [rule(1n, 'berth: dns udp berth0')] }])).toEqual(['add'])
    expect(kinds([{ ...input, drops: false }])).toEqual([])
  })

  it('looks at others’ chains on the way of packets only', () => {
    const chain = (table: string, hook: number | undefined) => ({ ...filter, table, hook, drops: true })
    const chains = [
      chain('filter', 2),
      chain('filter', 1),
      chain('berth', 2),
      chain('berth-ab12cd', 2),
      chain('x', undefined),
      chain('nat', 4),
    ]
    expect(foreignChains(chains).map((c) => `${c.table} ${c.hook}`)).toEqual(['filter 2', 'filter 1'])
  })
})
