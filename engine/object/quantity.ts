import { BerthError } from '../base/error.ts'

/** How a quantity was written, and so is written again: `500M`, `512Mi` or `5e8`. */
export type QuantityFormat = 'decimal' | 'binary' | 'exponent'

/** An exact amount in billionths, which is as fine as Kubernetes goes: `1.5` is 1_500_000_000n. */
export interface Quantity {
  readonly nano: bigint
  readonly format: QuantityFormat
}

const one = 1_000_000_000n
/** Suffix and size in billionths, largest first. */
const decimal: readonly (readonly [string, bigint])[] = [
  ['E', one * 10n ** 18n],
  ['P', one * 10n ** 15n],
  ['T', one * 10n ** 12n],
  ['G', one * 10n ** 9n],
  ['M', one * 10n ** 6n],
  ['k', one * 10n ** 3n],
  ['', one],
  ['m', one / 10n ** 3n],
  ['u', one / 10n ** 6n],
  ['n', 1n],
]
const binary: readonly (readonly [string, bigint])[] = [
  ['Ei', one << 60n],
  ['Pi', one << 50n],
  ['Ti', one << 40n],
  ['Gi', one << 30n],
  ['Mi', one << 20n],
  ['Ki', one << 10n],
]
const grammar = /^([+-]?)(\d+\.?\d*|\.\d+)(?:([eE][+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i))?$/

/** The quantity that a text or number states, or undefined when it states none. Rounds up to a billionth. */
export function parseQuantity(text: string | number): Quantity | undefined {
  const match = grammar.exec(String(text))
  if (!match) return undefined
  const [, sign, number = '', exponent, suffix = ''] = match
  const [whole = '', fraction = ''] = number.split('.')
  const size = [...decimal, ...binary].find(([name]) => name === suffix)?.[1] ?? one
  const power = BigInt(exponent?.slice(1) ?? '0') - BigInt(fraction.length)
  const digits = BigInt(`${whole}${fraction}`) * size
  const nano = power >= 0n ? digits * 10n ** power : divideUp(digits, 10n ** -power)
  const format = suffix.endsWith('i') ? 'binary' : exponent ? 'exponent' : 'decimal'
  return { nano: sign === '-' ? -nano : nano, format }
}

/** `parseQuantity` for what must be one; throws `INVALID` otherwise. */
export function readQuantity(text: string | number): Quantity {
  const quantity = parseQuantity(text)
  if (!quantity) {
    throw new BerthError('INVALID', `Cannot read ${JSON.stringify(text)} as a quantity`, {
      hint: 'write a number with an optional suffix, such as 500m, 2, 128Mi or 1G',
    })
  }
  return quantity
}

/** The canonical text: no fraction, the largest suffix that keeps it exact; binary only from 1024 and for whole numbers. */
export function formatQuantity({ nano, format }: Quantity): string {
  if (nano === 0n) return '0'
  const magnitude = nano < 0n ? -nano : nano
  const sign = nano < 0n ? '-' : ''
  if (format === 'binary' && magnitude >= 1024n * one && magnitude % one === 0n) {
    const [suffix, size] = binary.find(([, size]) => magnitude % size === 0n) ?? ['', one]
    return `${sign}${magnitude / size}${suffix}`
  }
  const index = decimal.findIndex(([, size]) => magnitude % size === 0n)
  const [suffix, size] = decimal[index] ?? ['n', 1n]
  const exponent = 18 - 3 * index
  const ending = format !== 'exponent' ? suffix : exponent === 0 ? '' : `e${exponent}`
  return `${sign}${magnitude / size}${ending}`
}

/** The canonical form of a quantity's text; a text that is none is returned as it is, for validation to name. */
export function canonicalQuantity(text: string | number): string {
  const quantity = parseQuantity(text)
  return quantity ? formatQuantity(quantity) : String(text)
}

/** The amount rounded up to a whole number: bytes of memory, counts. */
export function wholeValue(quantity: Quantity): number {
  return Number(divideUp(quantity.nano, one))
}

/** The amount in thousandths, rounded up: millicores of CPU. */
export function milliValue(quantity: Quantity): number {
  return Number(divideUp(quantity.nano, one / 1000n))
}

/** Negative, zero or positive as `a` is less than, equal to or more than `b`. */
export function compareQuantities(a: Quantity, b: Quantity): number {
  return a.nano < b.nano ? -1 : a.nano > b.nano ? 1 : 0
}

function divideUp(a: bigint, b: bigint): bigint {
  return a % b > 0n ? a / b + 1n : a / b
}
