import { BerthError } from '../engine/base/error.ts'

/** `5 seconds`, `About a minute`, `3 days`: docker's words for a duration. */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const minutes = Math.floor(seconds / 60)
  const hours = Math.round(seconds / 3600)
  if (seconds < 1) return 'Less than a second'
  if (seconds === 1) return '1 second'
  if (seconds < 60) return `${seconds} seconds`
  if (minutes === 1) return 'About a minute'
  if (minutes < 60) return `${minutes} minutes`
  if (hours === 1) return 'About an hour'
  if (hours < 48) return `${hours} hours`
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`
  return `${Math.floor(hours / 24 / 365)} years`
}

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
