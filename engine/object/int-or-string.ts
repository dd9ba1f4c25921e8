/**
 * A count that may be a percentage of `total`: `25%` of 10 is 3 rounded up, 2 rounded down. A text that is no
 * percentage counts as 0; validation has refused it before.
 */
export function scaledValue(value: number | string | undefined, total: number, round: 'up' | 'down'): number {
  if (typeof value === 'number') return value
  const match = /^(\d+)%$/.exec(value ?? '')
  if (!match) return 0
  const exact = (Number(match[1]) * total) / 100
  return round === 'up' ? Math.ceil(exact) : Math.floor(exact)
}
