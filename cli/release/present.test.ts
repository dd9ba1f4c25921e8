import { expect, it } from 'vitest'
import { goJsonTime } from './present.ts'

it.each([
  ['2026-11-25T00:03:25.190Z', '2026-11-25T00:03:25.19Z'],
  ['2026-11-25T00:03:20.000Z', '2026-11-25T00:03:20Z'],
  ['2026-11-25T00:03:20Z', '2026-11-25T00:03:20Z'],
  ['2026-11-25T00:03:25.376123Z', '2026-11-25T00:03:25.376123Z'],
])('writes %s as %s', (text, as) => {
  expect(goJsonTime(text)).toBe(as)
})
