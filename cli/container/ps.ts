import { Command } from 'commander'
import { plain } from '../../engine/base/describe.ts'
import { humanDuration } from '../../engine/client/docker/human.ts'
import type { ContainerSummary, MountSummary, PortSummary } from '../../engine/client/docker/types.ts'
import { connect, filterQuery, list } from '../connect.ts'
import type { Output } from '../output.ts'
import { type Column, printListing } from '../rows.ts'
import { integer } from './settings.ts'

interface PsFlags {
  readonly host?: string
  readonly all?: true
  readonly quiet?: true
  readonly filter?: string[]
  readonly format?: string
  readonly trunc: boolean
  readonly last?: string
  readonly latest?: true
}

export function command(output: Output): Command {
  return new Command('ps')
    .description('List containers')
    .option('-a, --all', 'stopped ones too')
    .option('-q, --quiet', 'only ids')
    .option(
      '-f, --filter <filter>',
      'filter, KEY=VALUE (status, name, id, label, ancestor, network, volume…)',
      list,
    )
    .option('--format <format>', "json, 'table TEMPLATE' or a Go template")
    .option('--no-trunc', 'print everything in full')
    .option('-n, --last <count>', 'the last created ones, in any state')
    .option('-l, --latest', 'the last created one')
    .action(async (flags: PsFlags) => {
      const limit = flags.latest ? 1 : flags.last === undefined ? undefined : integer(flags.last, '--last')
      const containers = await connect(flags, output).json<ContainerSummary[]>('GET', '/containers/json', {
        query: { all: flags.all, limit, filters: filterQuery(flags.filter) },
      })
      const columns = containerColumns({ full: !flags.trunc, now: Date.now() })
      const shown = ['ID', 'Image', 'Command', 'RunningFor', 'Status', 'Ports', 'Names']
      printListing(containers, { columns, shown, format: flags.format, quiet: flags.quiet && 'ID' }, output)
    })
}

/** What `ps` shows and `--format` may name. */
export function containerColumns({ full, now }: { full: boolean; now: number }): Column<ContainerSummary>[] {
  const column = (
    field: string,
    heading: string,
    of: (c: ContainerSummary) => string,
  ): Column<ContainerSummary> => ({
    field,
    heading,
    of: (c) => plain(of(c)),
  })
  return [
    column('Command', 'COMMAND', (c) => JSON.stringify(full ? c.Command : ellipsis(c.Command, 20))),
    column(
      'CreatedAt',
      'CREATED AT',
      (c) => `${new Date(c.Created * 1000).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`,
    ),
    column('ID', 'CONTAINER ID', (c) => (full ? c.Id : c.Id.slice(0, 12))),
    column('Image', 'IMAGE', (c) => imageName(c, full)),
    column('Labels', 'LABELS', (c) =>
      Object.entries(c.Labels ?? {})
        .map(([k, v]) => `${k}=${v}`)
        .join(','),
    ),
    column('LocalVolumes', 'LOCAL VOLUMES', (c) =>
      String((c.Mounts ?? []).filter((m) => m.Driver === 'local').length),
    ),
    column('Mounts', 'MOUNTS', (c) => (c.Mounts ?? []).map((m) => mountName(m, full)).join(',')),
    column('Names', 'NAMES', (c) => c.Names.map((name) => name.replace(/^\//, '')).join(',')),
    column('Networks', 'NETWORKS', (c) => Object.keys(c.NetworkSettings?.Networks ?? {}).join(',')),
    column('Ports', 'PORTS', (c) => portsText(c.Ports)),
    column('RunningFor', 'CREATED', (c) => `${humanDuration(now - c.Created * 1000)} ago`),
    column('Size', 'SIZE', () => '0B'),
    column('State', 'STATE', (c) => c.State),
    column('Status', 'STATUS', (c) => c.Status),
  ]
}

const ellipsis = (text: string, limit: number) =>
  text.length <= limit ? text : `${text.slice(0, limit - 1)}…`

function imageName(container: ContainerSummary, full: boolean): string {
  if (container.Image === '') return '<no image>'
  const isId = container.Image.startsWith('sha256:') || container.Image === container.ImageID
  return isId && !full ? container.Image.replace(/^sha256:/, '').slice(0, 12) : container.Image
}

function mountName(mount: MountSummary, full: boolean): string {
  const name = mount.Name || mount.Source
  return full ? name : ellipsis(name, 15)
}

/**
 * `0.0.0.0:8000-8002->8000-8002/tcp, 0.0.0.0:8080->80/tcp, 443/tcp`: ports under their own number come first and
 * neighbours are one entry, as docker prints them.
 */
export function portsText(ports: readonly PortSummary[]): string {
  const ranges: string[] = []
  const mapped: string[] = []
  const open = new Map<string, { first: number; last: number; text: (range: string) => string }>()
  const range = ({ first, last }: { first: number; last: number }) =>
    first === last ? `${first}` : `${first}-${last}`
  for (const { IP = '', PrivatePort, PublicPort = 0, Type } of [...ports].sort(byPort)) {
    const address = IP.includes(':') ? `[${IP}]` : IP
    if (IP !== '' && PublicPort !== PrivatePort) {
      mapped.push(`${address}:${PublicPort}->${PrivatePort}/${Type}`)
      continue
    }
    const key = `${IP}/${Type}`
    const group = open.get(key)
    if (group && PrivatePort === group.last + 1) {
      group.last = PrivatePort
      continue
    }
    if (group) ranges.push(group.text(range(group)))
    const text = (r: string) => (IP === '' ? `${r}/${Type}` : `${address}:${r}->${r}/${Type}`)
    open.set(key, { first: PrivatePort, last: PrivatePort, text })
  }
  return [...ranges, ...[...open.values()].map((group) => group.text(range(group))), ...mapped].join(', ')
}

function byPort(a: PortSummary, b: PortSummary): number {
  const order = (x: string, y: string) => (x < y ? -1 : x > y ? 1 : 0)
  return (
    a.PrivatePort - b.PrivatePort ||
    order(a.IP ?? '', b.IP ?? '') ||
    (a.PublicPort ?? 0) - (b.PublicPort ?? 0) ||
    order(a.Type, b.Type)
  )
}
