import { BerthError } from './error.ts'

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/**
 * A duration as Go writes it (`1h2m3.5s`, `300ms`, `0`), in milliseconds. Throws `INVALID` for anything else, a
 * number without a unit included. https://pkg.go.dev/time#ParseDuration
 */
export function parseDuration(text: string): number {
  const match = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+)$/.exec(text)
  if (text === '0') return 0
  if (!match?.[2]) {
    throw new BerthError('INVALID', `Cannot read ${JSON.stringify(text)} as a duration`, {
      hint: 'write a number with a unit, such as 90s, 5m or 1h30m',
    })
  }
  let total = 0
  for (const [, number, unit] of match[2].matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)/g)) {
    total += Number(number) * (unitMs[unit ?? ''] ?? 0)
  }
  return match[1] === '-' ? -total : total
}
