import type { Progress } from '../../engine/release/host/progress.ts'
import type { Output } from '../output.ts'

/** Tells a person what happens, on stderr; `quiet` leaves all but warnings out. */
export function progressOf(output: Output, quiet: boolean): (progress: Progress) => void {
  return (progress) => {
    if (progress.type === 'warning') output.note(`Warning: ${progress.text}`)
    if (quiet) return
    switch (progress.type) {
      case 'applied':
        output.note(`applied ${progress.object}`)
        break
      case 'removed':
        output.note(`removed ${progress.object}`)
        break
      case 'hook':
        output.note(`${progress.event} hook ${progress.object}`)
        break
      case 'state':
        output.note(`${progress.object} ${progress.state === 'ready' ? 'ready' : progress.reason}`)
        break
    }
  }
}
