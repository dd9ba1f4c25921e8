/**
 * Loaded before the daemon (`node --import`): it kills its own process right after a write of a release's journal
 * that the file `BERTH_DIE_AT` names, once. What the file may hold: `0` (the revision is recorded, no step is done),
 * `k` (k steps are recorded as done), `end` (the operation's end is recorded). The step that was recorded last goes
 * into the file with `.died` at its end.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Records } from '../../engine/release/host/records.ts'
import type { StoredRecord } from '../../engine/release/record.ts'

const file = process.env.BERTH_DIE_AT ?? ''
let working = ''

/** Where the journal stands after this write. */
function pointOf({ record, journal }: StoredRecord): string | undefined {
  const key = `${record.name}/${record.version}`
  if (journal) {
    working = key
    return String(journal.done.length)
  }
  return key === working ? 'end' : undefined
}

for (const method of ['create', 'update', 'remove'] as const) {
  const write = Records.prototype[method]
  Records.prototype[method] = async function (this: Records, stored, signal) {
    await write.call(this, stored, signal)
    const point = pointOf(stored)
    if (point === undefined || !existsSync(file) || readFileSync(file, 'utf8') !== point) return
    rmSync(file)
    writeFileSync(`${file}.died`, stored.journal?.done.at(-1) ?? '')
    process.kill(process.pid, 'SIGKILL')
  }
}
