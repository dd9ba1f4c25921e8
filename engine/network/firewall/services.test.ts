import { describe, expect, it } from 'vitest'
import { parseSubnet } from '../address.ts'
import { elementsOf, type Target } from './elements.ts'
import { servicesOf, withServices } from './services.ts'

const target = (address: string | undefined, port: number, ...last: number[]): Target => ({
  address,
  protocol: 'tcp',
  port,
  endpoints: last.map((n) => ({ address: `10.210.0.${n}`, port: 80 })),
})
const of = (...targets: Target[]) => elementsOf({ bridges: [], addresses: [], targets })
const vip = target('10.211.0.1', 80, 2, 3)
const balanced = target(undefined, 30080, 2, 3)
const published = target(undefined, 8080, 4)
const local = target('127.0.0.1', 9090, 4)

describe('services', () => {
  it('are what was found in the kernel without what containers published', () => {
    const found = of(vip, balanced, published, local)
    expect(servicesOf(found, of(published, local), parseSubnet('10.211.0.0/16'))).toEqual(of(vip, balanced))
    expect(servicesOf(found, of(), parseSubnet('10.211.0.0/16'))).toEqual(of(vip, balanced, published))
  })

  it('stand beside the policy, which wins a port that both have', () => {
    expect(withServices(of(published), of(vip, balanced))).toEqual(of(published, vip, balanced))
    expect(withServices(of(published), of(vip, target(undefined, 8080, 2, 3)))).toEqual(of(published, vip))
  })
})
