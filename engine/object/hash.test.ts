import { describe, expect, it } from 'vitest'
import { stableHash } from './hash.ts'

describe('stableHash', () => {
  it('is the same for equal values, over versions of berth', () => {
    expect(stableHash({ a: 1, b: [{ c: 'x' }] })).toBe(stableHash({ b: [{ c: 'x' }], a: 1 }))
    expect(stableHash({ a: 1, b: undefined })).toBe(stableHash({ a: 1 }))
    expect(stableHash({ spec: { containers: [{ name: 'web', image: 'nginx:1' }] } })).toMatchInlineSnapshot(
      `"7b865cbcdc"`,
    )
  })

  it('differs for other values and with a salt', () => {
    const value = { image: 'a:1' }
    expect(new Set([stableHash(value), stableHash({ image: 'a:2' }), stableHash(value, '1')]).size).toBe(3)
  })
})
