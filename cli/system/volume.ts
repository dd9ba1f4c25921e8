import { Command } from 'commander'
import type { VolumeDetails } from '../../engine/client/docker/types.ts'
import { connect, filterQuery, forEach, list } from '../connect.ts'
import { pairs } from '../container/settings.ts'
import { inspectAll } from '../inspection.ts'
import type { Output } from '../output.ts'
import { type Column, printListing } from '../rows.ts'

interface CreateFlags {
  readonly host?: string
  readonly label?: string[]
  readonly driver?: string
  readonly opt?: string[]
}

interface ListFlags {
  readonly host?: string
  readonly quiet?: true
  readonly filter?: string[]
  readonly format?: string
}

const columns: readonly Column<VolumeDetails>[] = [
  { field: 'Driver', heading: 'DRIVER', of: (v) => v.Driver },
  {
    field: 'Labels',
    heading: 'LABELS',
    of: (v) =>
      Object.entries(v.Labels ?? {})
        .map(([k, x]) => `${k}=${x}`)
        .join(','),
  },
  { field: 'Mountpoint', heading: 'MOUNTPOINT', of: (v) => v.Mountpoint },
  { field: 'Name', heading: 'VOLUME NAME', of: (v) => v.Name },
  { field: 'Scope', heading: 'SCOPE', of: (v) => v.Scope },
]

export function command(output: Output): Command {
  const create = new Command('create')
    .description('Make a volume')
    .argument('[name]')
    .option('--label <label>', 'set a label, KEY=VALUE', list)
    .option('-d, --driver <driver>', 'local')
    .option('--opt <option>', 'options of the driver', list)
    .action(async (name: string | undefined, flags: CreateFlags) => {
      const body = {
        Name: name ?? '',
        Driver: flags.driver ?? 'local',
        Labels: pairs(flags.label, '--label'),
        DriverOpts: pairs(flags.opt, '--opt'),
      }
      output.line(
        (await connect(flags, output).json<VolumeDetails>('POST', '/volumes/create', { body })).Name,
      )
    })
  const ls = new Command('ls')
    .alias('list')
    .description('List volumes')
    .option('-q, --quiet', 'only names')
    .option('-f, --filter <filter>', 'filter, KEY=VALUE (name, label, dangling)', list)
    .option('--format <format>', "json, 'table TEMPLATE' or a Go template")
    .action(async (flags: ListFlags) => {
      const { Volumes } = await connect(flags, output).json<{ Volumes: VolumeDetails[] | null }>(
        'GET',
        '/volumes',
        {
          query: { filters: filterQuery(flags.filter) },
        },
      )
      const sorted = [...(Volumes ?? [])].sort((a, b) => (a.Name < b.Name ? -1 : 1))
      printListing(
        sorted,
        { columns, shown: ['Driver', 'Name'], format: flags.format, quiet: flags.quiet && 'Name' },
        output,
      )
    })
  const inspect = new Command('inspect')
    .description('Print all that is known of volumes')
    .argument('<volume...>')
    .option('-f, --format <format>', 'json or a Go template')
    .action(async (names: string[], flags: { host?: string; format?: string }) => {
      const client = connect(flags, output)
      await inspectAll(names, (name) => client.json('GET', `/volumes/${encodeURIComponent(name)}`), {
        format: flags.format,
        output,
      })
    })
  const rm = new Command('rm')
    .alias('remove')
    .description('Remove volumes that no container uses')
    .argument('<volume...>')
    .option('-f, --force', 'no error for one that is not there')
    .action(async (names: string[], flags: { host?: string; force?: true }) => {
      const client = connect(flags, output)
      const remove = async (name: string) => {
        await client.json('DELETE', `/volumes/${encodeURIComponent(name)}`, { query: { force: flags.force } })
        return name
      }
      await forEach(names, remove, output)
    })
  const volume = new Command('volume').description('Volumes: create, ls, inspect, rm')
  for (const child of [create, ls, inspect, rm]) volume.addCommand(child)
  return volume
}
