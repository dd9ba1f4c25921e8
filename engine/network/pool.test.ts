import { describe, expect, it } from 'vitest'
import { formatIpv4, formatSubnet, overlaps, parseIpv4, parseSubnet } from './address.ts'
import { planSubnet, splitPool } from './networks.ts'
import { macOf, nextFree, nextSubnet } from './pool.ts'

describe('addresses', () => {
  it('reads what is an address and nothing else', () => {
    expect(formatIpv4(parseIpv4('10.210.255.1'))).toBe('10.210.255.1')
    for (const wrong of ['10.210.0', '10.210.0.256', '010.1.1.1', '1.2.3.4 ', 'a.b.c.d', '']) {
      expect(() => parseIpv4(wrong), wrong).toThrow(/IPv4/)
    }
    expect(formatSubnet(parseSubnet('10.210.3.4/16'))).toBe('10.210.0.0/16')
    for (const wrong of ['10.0.0.0', '10.0.0.0/33', '10.0.0.0/0', '10.0.0.0/x']) {
      expect(() => parseSubnet(wrong), wrong).toThrow(/subnet/)
    }
    expect(overlaps(parseSubnet('10.0.0.0/8'), parseSubnet('10.210.0.0/16'))).toBe(true)
    expect(overlaps(parseSubnet('10.210.0.0/17'), parseSubnet('10.210.128.0/24'))).toBe(false)
  })

  it('gives every address once before one comes again', () => {
    const subnet = parseSubnet('10.0.0.0/29')
    const gateway = parseIpv4('10.0.0.1')
    const given: string[] = []
    let last: number | undefined
    for (let n = 0; n < 6; n++) {
      last = nextFree(subnet, { taken: new Set([gateway]), last })
      given.push(formatIpv4(last ?? 0))
    }
    expect(given).toEqual(['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6', '10.0.0.2'])
    const all = new Set([1, 2, 3, 4, 5, 6].map((n) => subnet.base + n))
    expect(nextFree(subnet, { taken: all, last })).toBeUndefined()
    expect(macOf(gateway)).toBe('0a:be:0a:00:00:01')
  })
})

describe('subnets', () => {
  const pool = parseSubnet('10.210.0.0/16')
  const plan = { pool, services: parseSubnet('10.211.0.0/16'), networks: [], routes: [] }

  it('takes the first free one of the second half', () => {
    expect(formatSubnet(planSubnet(plan))).toBe('10.210.128.0/24')
    const networks = [{ name: 'a', subnet: parseSubnet('10.210.128.0/24') }]
    const routes = [parseSubnet('10.210.129.0/25')]
    expect(formatSubnet(planSubnet({ ...plan, networks, routes }))).toBe('10.210.130.0/24')
    expect(
      nextSubnet(splitPool(parseSubnet('10.0.0.0/24')).second, 25, [parseSubnet('10.0.0.0/8')]),
    ).toBeUndefined()
  })

  it('names what an asked one overlaps', () => {
    const networks = [{ name: 'front', subnet: parseSubnet('172.20.0.0/16') }]
    const asked = (text: string) => () => planSubnet({ ...plan, networks, asked: parseSubnet(text) })
    expect(asked('172.20.1.0/24')).toThrow(/network "front"/)
    expect(asked('10.211.1.0/24')).toThrow(/10\.211\.0\.0\/16 of this host/)
    expect(asked('172.21.0.0/30')).toThrow(/\/29 or larger/)
    expect(() =>
      planSubnet({ ...plan, asked: parseSubnet('172.22.0.0/24'), gateway: parseIpv4('172.23.0.1') }),
    ).toThrow(/gateway/)
  })
})
