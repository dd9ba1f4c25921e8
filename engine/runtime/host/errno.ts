import { getSystemErrorName } from 'node:util'
import { BerthError } from '../../base/error.ts'

/** The name of an errno, such as `ENOENT`, or `errno 999`. */
function errnoName(errno: number): string {
  const name = errno > 0 ? getSystemErrorName(-errno) : ''
  return name.startsWith('E') ? name : `errno ${errno}`
}

/** The error of a system call that somebody else made for us. `details.errno` is the name. */
export function failure(action: string, at: { errno: number; call: string; text?: string }): BerthError {
  const name = errnoName(at.errno)
  const code = name === 'ENOSPC' ? 'NO_SPACE' : 'KERNEL'
  return new BerthError(
    code,
    `Cannot ${action}: ${at.call} failed with ${name}${at.text ? ` (${at.text})` : ''}`,
    {
      details: { errno: name, call: at.call, ...(at.text ? { text: at.text } : {}) },
    },
  )
}
