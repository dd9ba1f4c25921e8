import { plain } from '../../engine/base/describe.ts'
import { BerthError } from '../../engine/base/error.ts'
import type { PullProgress } from '../../engine/client/docker/types.ts'
import { humanSize } from '../units.ts'

/**
 * Shows a pull as docker does: on a terminal one line a layer, redrawn in place; in a pipe every status once and no
 * bars. Rejects with the engine's error when the stream carries one.
 */
export async function showProgress(
  lines: AsyncIterable<PullProgress>,
  stream: NodeJS.WritableStream & { isTTY?: boolean; columns?: number },
  { quiet = false } = {},
): Promise<void> {
  const rows = new Map<string, number>()
  for await (const line of lines) {
    if (line.error !== undefined) throw new BerthError('REGISTRY', line.errorDetail?.message ?? line.error)
    if (quiet) continue
    const text = plain(`${line.id ? `${line.id}: ` : ''}${line.status ?? ''}`)
    const total = line.progressDetail?.total ?? 0
    const hasBar = (line.progressDetail?.current ?? 0) > 0 || total > 0
    if (stream.isTTY !== true) {
      if (!hasBar) stream.write(`${text}\n`)
      continue
    }
    if (!line.id) {
      rows.clear()
      stream.write(`${text}\n`)
      continue
    }
    const width = Math.max(20, (stream.columns ?? 80) - text.length - 2)
    const whole = hasBar ? `${text} ${bar(line, width)}` : text
    const row = rows.get(line.id)
    if (row === undefined) {
      rows.set(line.id, rows.size)
      stream.write(`${whole}\n`)
    } else {
      const up = rows.size - row
      stream.write(`\u001b[${up}A\u001b[2K\r${whole}\u001b[${up}B\r`)
    }
  }
}

/** `[=====>     ]  1.2MB/3.4MB` in at most `width` columns. */
function bar(line: PullProgress, width: number): string {
  const { current = 0, total = 0 } = line.progressDetail ?? {}
  const numbers = total > 0 ? `${humanSize(current)}/${humanSize(total)}` : humanSize(current)
  const cells = Math.min(50, width - numbers.length - 4)
  if (total <= 0 || cells < 5) return numbers
  const done = Math.min(cells, Math.floor((current / total) * cells))
  return `[${'='.repeat(Math.max(0, done - 1))}${done > 0 ? '>' : ''}${' '.repeat(cells - Math.max(done, 0))}]  ${numbers}`
}
