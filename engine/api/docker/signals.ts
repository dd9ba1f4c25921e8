import { constants } from 'node:os'
import { BerthError } from '../../base/error.ts'
import { suggest } from '../../base/suggest.ts'

/** `KILL`, `SIGKILL`, `9`, `SIGRTMIN+3` as a number. */
export function parseSignal(text: string): number {
  if (/^\d+$/.test(text)) {
    const number = Number(text)
    if (number > 0 && number < 65) return number
  }
  const name = text.toUpperCase().replace(/^SIG/, '')
  const realtime = /^RTM(IN|AX)(?:([+-])(\d+))?$/.exec(name)
  if (realtime) {
    const offset = Number(realtime[3] ?? 0) * (realtime[2] === '-' ? -1 : 1)
    return (realtime[1] === 'IN' ? 34 : 64) + offset
  }
  const signals = constants.signals as Readonly<Record<string, number>>
  const found = signals[`SIG${name}`]
  if (found !== undefined) return found
  const near = suggest(`SIG${name}`, Object.keys(signals))
  throw new BerthError('INVALID', `Invalid signal: ${text}`, near ? { hint: `did you mean ${near}?` } : {})
}
