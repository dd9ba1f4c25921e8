import { BerthError } from '../../engine/base/error.ts'
import type { ReleaseEngine } from '../../engine/release/host/engine.ts'
import type { ReleaseRecord } from '../../engine/release/record.ts'
import type { Output } from '../output.ts'
import { namespaceOf, type ReleaseOptions } from './connect.ts'

/** The last revision of a release, or the one asked for. Throws `NOT_FOUND` with Helm's words. */
export async function findRecord(
  engine: ReleaseEngine,
  name: string,
  options: ReleaseOptions & { readonly revision?: string },
  output: Output,
): Promise<ReleaseRecord> {
  const namespace = namespaceOf(options, output)
  const records = await engine.records.list({ namespace, release: name }, output.interruptible())
  const wanted = Number(options.revision ?? 0)
  const found = wanted > 0 ? records.find(({ record }) => record.version === wanted) : records.at(-1)
  if (found) return found.record
  throw new BerthError(
    'NOT_FOUND',
    `Cannot find release "${name}" in namespace "${namespace}": release: not found`,
    {
      hint: 'berth list -A shows the releases of all namespaces',
    },
  )
}
