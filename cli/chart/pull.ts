import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { BerthError } from '../../engine/base/error.ts'
import { writeFileAtomic } from '../../engine/base/host/files.ts'
import { newId } from '../../engine/base/host/id.ts'
import { readArchive } from '../../engine/chart/archive.ts'
import { pullChart } from '../../engine/chart/host/registry.ts'
import { loadChart } from '../../engine/chart/load.ts'
import { archiveName } from '../../engine/chart/pack.ts'
import type { Output } from '../output.ts'
import { chartRegistry, hostOf, type RegistryOptions } from './registry.ts'

export interface PullChartOptions extends RegistryOptions {
  readonly version?: string
  readonly destination?: string
  readonly untar?: boolean
  readonly untardir?: string
}

/** What `berth pull oci://…` does: the archive into a folder, or unpacked. */
export async function pullChartTo(
  reference: string,
  options: PullChartOptions,
  output: Output,
): Promise<void> {
  await using client = chartRegistry(options, hostOf(reference), output)
  const { version } = options
  const pulled = await pullChart(
    client,
    { reference, ...(version === undefined ? {} : { version }) },
    output.interruptible(),
  )
  const files = await readArchive(pulled.archive, reference)
  const chart = await loadChart(files, reference)
  const folder = resolve(options.destination ?? '.')
  await mkdir(folder, { recursive: true })
  if (options.untar) await unpack(files, join(folder, options.untardir ?? '.', chart.metadata.name))
  else {
    const file = join(folder, archiveName(chart))
    await writeFileAtomic(file, pulled.archive, 0o644)
    if (pulled.provenance) await writeFileAtomic(`${file}.prov`, pulled.provenance, 0o644)
  }
  output.line(`Pulled: ${pulled.reference}`)
  output.line(`Digest: ${pulled.digest}`)
}

/** Unpacks beside and renames, so that a cut pull leaves no half chart. */
async function unpack(
  files: readonly { name: string; content: Uint8Array }[],
  target: string,
): Promise<void> {
  if (await stat(target).catch(() => undefined))
    throw new BerthError(
      'ALREADY_EXISTS',
      `Cannot unpack the chart: a file or directory with the name ${target} already exists`,
    )
  const beside = `${target}.${newId().slice(0, 12)}.tmp`
  try {
    for (const { name, content } of files) {
      const file = join(beside, name)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, content)
    }
    await rename(beside, target)
  } catch (error) {
    await rm(beside, { recursive: true, force: true })
    throw error
  }
}
