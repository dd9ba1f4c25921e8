import { BerthError } from '../engine/base/error.ts'

/** `1.98MB`: powers of 1000, three digits of precision. */
export function humanSize(bytes: number, digits = 3): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let value = bytes
  let i = 0
  while (value >= 1000 && i < units.length - 1) {
    value /= 1000
    i++
  }
  return `${Number(value.toPrecision(digits))}${units[i]}`
}

/** `512m`, `1.5GiB`, `100`: docker's memory sizes, powers of 1024 whatever the spelling. */
export function parseBytes(text: string, flag: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp])?i?b?$/i.exec(text)
  if (!match) {
    throw new BerthError('USAGE', `Cannot read "${text}" of ${flag} as a size`, {
      hint: 'write a number with b, k, m or g, such as 512m',
    })
  }
  return Math.floor(Number(match[1]) * 1024 ** (match[2] ? 'kmgtp'.indexOf(match[2].toLowerCase()) + 1 : 0))
}
