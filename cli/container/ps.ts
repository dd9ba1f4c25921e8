import { Command } from 'commander'
import type { ContainerSummary, MountSummary, PortSummary } from '../../engine/client/docker/types.ts'
import { connect, filterQuery, list } from '../connect.ts'
import { type Output, plain } from '../output.ts'
import { type Column, printListing } from '../rows.ts'
import { humanDuration } from '../units.ts'
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

/** `0.0.0.0:8080->80/tcp, 443/tcp`; neighbours that were published as a range are one entry. */
export function portsText(ports: readonly PortSummary[]): string {
  interface Group {
    readonly ip: string
    readonly type: string
    readonly inside: number
    readonly outside: number
    readonly count: number
  }
  const sorted = [...ports].sort(
    (a, b) =>
      a.PrivatePort - b.PrivatePort || (a.IP ?? '').localeCompare(b.IP ?? '') || a.Type.localeCompare(b.Type),
  )
  const groups: Group[] = []
  for (const port of sorted) {
    const [ip, type, outside] = [port.IP ?? '', port.Type, port.PublicPort ?? 0]
    // Docker joins neighbours only when they are not published, or published under the same number.
    const at = groups.findIndex(
      (g) =>
        g.ip === ip &&
        g.type === type &&
        port.PrivatePort === g.inside + g.count &&
        (outside === 0 ? g.outside === 0 : outside === port.PrivatePort && g.outside === g.inside),
    )
    const group = groups[at]
    if (group) groups[at] = { ...group, count: group.count + 1 }
    else groups.push({ ip, type, inside: port.PrivatePort, outside, count: 1 })
  }
  return groups
    .map(({ ip, type, inside, outside, count }) => {
      const range = (first: number) => (count === 1 ? String(first) : `${first}-${first + count - 1}`)
      const host = ip.includes(':') ? `[${ip}]` : ip
      return outside === 0
        ? `${range(inside)}/${type}`
        : `${host}:${range(outside)}->${range(inside)}/${type}`
    })
    .join(', ')
}
