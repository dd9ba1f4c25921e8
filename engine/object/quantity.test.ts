import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  canonicalQuantity,
  formatQuantity,
  milliValue,
  parseQuantity,
  readQuantity,
  wholeValue,
} from './quantity.ts'

describe('quantity', () => {
  it.each([
    ['1.5', '1500m'],
    ['0.5Gi', '512Mi'],
    ['1024Ki', '1Mi'],
    ['1000Ki', '1000Ki'],
    ['1000', '1k'],
    ['1024', '1024'],
    ['1e3', '1e3'],
    ['1e4', '10e3'],
    ['12E', '12E'],
    ['100m', '100m'],
    ['1000m', '1'],
    ['0.1Gi', '107374182400m'],
    ['512Ki', '512Ki'],
    ['0', '0'],
    ['0Gi', '0'],
    ['-1.5', '-1500m'],
    ['.5', '500m'],
    ['5.', '5'],
  ])('writes %s as %s', (text, want) => {
    expect(canonicalQuantity(text)).toBe(want)
  })

  it.each(['', 'x', '1.2.3', '1 Gi', '1gi', '1K', '--1', '1e', '0x10'])('refuses %j', (text) => {
    expect(parseQuantity(text)).toBeUndefined()
    expect(() => readQuantity(text)).toThrow('Cannot read')
  })

  it('gives bytes and millicores, rounded up', () => {
    expect(wholeValue(readQuantity('128Mi'))).toBe(134217728)
    expect(wholeValue(readQuantity('1500m'))).toBe(2)
    expect(milliValue(readQuantity('0.25'))).toBe(250)
    expect(milliValue(readQuantity('1u'))).toBe(1)
  })

  it('reads back what it writes', () => {
    const formats = fc.constantFrom('decimal' as const, 'binary' as const, 'exponent' as const)
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 24n), max: 10n ** 24n }), formats, (nano, format) => {
        expect(parseQuantity(formatQuantity({ nano, format }))?.nano).toBe(nano)
      }),
    )
  })
})
