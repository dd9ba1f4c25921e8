import { Command } from 'commander'
import type { NetworkDetails } from '../../engine/client/docker/types.ts'
import { connect, filterQuery, forEach, list } from '../connect.ts'
import { pairs } from '../container/settings.ts'
import { inspectAll } from '../inspection.ts'
import type { Output } from '../output.ts'
import { type Column, printListing } from '../rows.ts'

interface CreateFlags {
  readonly host?: string
  readonly driver?: string
  readonly subnet?: string[]
  readonly gateway?: string[]
  readonly internal?: true
  readonly attachable?: true
  readonly label?: string[]
  readonly opt?: string[]
}

interface ListFlags {
  readonly host?: string
  readonly quiet?: true
  readonly filter?: string[]
  readonly format?: string
  readonly trunc: boolean
}

const path = (name: string) => `/networks/${encodeURIComponent(name)}`

export function command(output: Output): Command {
  const network = new Command('network').description('Networks: create, ls, inspect, connect, disconnect, rm')
  for (const child of [create, ls, inspect, join, leave, rm]) network.addCommand(child(output))
  return network
}

function create(output: Output): Command {
  return new Command('create')
    .description('Make a network')
    .argument('<name>')
    .option('-d, --driver <driver>', 'bridge')
    .option('--subnet <subnet>', 'addresses, 10.5.0.0/24', list)
    .option('--gateway <address>', 'address of the bridge', list)
    .option('--internal', 'no way out of the network')
    .option('--attachable', 'accepted for scripts written for docker')
    .option('--label <label>', 'set a label, KEY=VALUE', list)
    .option('-o, --opt <option>', 'options of the driver', list)
    .action(async (name: string, flags: CreateFlags) => {
      const { subnet = [], gateway = [] } = flags
      const config = subnet.map((Subnet, i) => ({
        Subnet,
        ...(gateway[i] !== undefined && { Gateway: gateway[i] }),
      }))
      const body = {
        Name: name,
        CheckDuplicate: true,
        Driver: flags.driver ?? 'bridge',
        Internal: flags.internal === true,
        Attachable: flags.attachable === true,
        IPAM: { Driver: 'default', Config: config },
        Labels: pairs(flags.label, '--label'),
        Options: pairs(flags.opt, '--opt'),
      }
      try {
        output.line(
          (await connect(flags, output).json<{ Id: string }>('POST', '/networks/create', { body })).Id,
        )
      } catch (error) {
        output.fail(error, 1)
      }
    })
}

function ls(output: Output): Command {
  return new Command('ls')
    .alias('list')
    .description('List networks')
    .option('-q, --quiet', 'only ids')
    .option('-f, --filter <filter>', 'filter, KEY=VALUE (name, id, label, driver, type)', list)
    .option('--format <format>', "json, 'table TEMPLATE' or a Go template")
    .option('--no-trunc', 'print everything in full')
    .action(async (flags: ListFlags) => {
      const networks = await connect(flags, output).json<NetworkDetails[]>('GET', '/networks', {
        query: { filters: filterQuery(flags.filter) },
      })
      const columns: Column<NetworkDetails>[] = [
        { field: 'CreatedAt', heading: 'CREATED AT', of: (n) => n.Created },
        { field: 'Driver', heading: 'DRIVER', of: (n) => n.Driver },
        { field: 'ID', heading: 'NETWORK ID', of: (n) => (flags.trunc ? n.Id.slice(0, 12) : n.Id) },
        { field: 'IPv6', heading: 'IPV6', of: (n) => String(n.EnableIPv6) },
        { field: 'Internal', heading: 'INTERNAL', of: (n) => String(n.Internal) },
        {
          field: 'Labels',
          heading: 'LABELS',
          of: (n) =>
            Object.entries(n.Labels ?? {})
              .map(([k, v]) => `${k}=${v}`)
              .join(','),
        },
        { field: 'Name', heading: 'NAME', of: (n) => n.Name },
        { field: 'Scope', heading: 'SCOPE', of: (n) => n.Scope },
      ]
      printListing(
        [...networks].sort((a, b) => (a.Name < b.Name ? -1 : 1)),
        {
          columns,
          shown: ['ID', 'Name', 'Driver', 'Scope'],
          format: flags.format,
          quiet: flags.quiet && 'ID',
        },
        output,
      )
    })
}

function inspect(output: Output): Command {
  return new Command('inspect')
    .description('Print all that is known of networks, with the host interface of each container')
    .argument('<network...>')
    .option('-f, --format <format>', 'json or a Go template')
    .option('-v, --verbose', 'accepted for scripts written for docker')
    .action(async (names: string[], flags: { host?: string; format?: string }) => {
      const client = connect(flags, output)
      await inspectAll(names, (name) => client.json('GET', path(name)), { format: flags.format, output })
    })
}

function join(output: Output): Command {
  return new Command('connect')
    .description('Connect a container to a network')
    .argument('<network>')
    .argument('<container>')
    .option('--alias <name>', 'further name on the network', list)
    .option('--ip <address>', 'IPv4 address on the network')
    .action(
      async (name: string, container: string, flags: { host?: string; alias?: string[]; ip?: string }) => {
        const EndpointConfig = {
          ...(flags.alias && { Aliases: flags.alias }),
          ...(flags.ip !== undefined && { IPAMConfig: { IPv4Address: flags.ip } }),
        }
        try {
          await connect(flags, output).json('POST', `${path(name)}/connect`, {
            body: { Container: container, EndpointConfig },
          })
        } catch (error) {
          output.fail(error, 1)
        }
      },
    )
}

function leave(output: Output): Command {
  return new Command('disconnect')
    .description('Disconnect a container from a network')
    .argument('<network>')
    .argument('<container>')
    .option('-f, --force', 'disconnect even if the container is in no state to')
    .action(async (name: string, container: string, flags: { host?: string; force?: true }) => {
      try {
        await connect(flags, output).json('POST', `${path(name)}/disconnect`, {
          body: { Container: container, Force: flags.force === true },
        })
      } catch (error) {
        output.fail(error, 1)
      }
    })
}

function rm(output: Output): Command {
  return new Command('rm')
    .alias('remove')
    .description('Remove networks that no container uses')
    .argument('<network...>')
    .option('-f, --force', 'no error for one that is not there')
    .action(async (names: string[], flags: { host?: string }) => {
      const client = connect(flags, output)
      const remove = async (name: string) => {
        await client.json('DELETE', path(name))
        return name
      }
      await forEach(names, remove, output)
    })
}
