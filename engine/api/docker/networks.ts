import { BerthError } from '../../base/error.ts'
import type { NetworkDetails, NetworkMember } from '../../client/docker/types.ts'
import type { DockerEngine, NetworkView } from './engine.ts'
import { matchesName, parseFilters, passes, passesLabels } from './filters.ts'
import type { Route } from './router.ts'

interface CreateBody {
  readonly Name: string
  readonly Driver: string
  readonly Internal: boolean
  readonly EnableIPv6: boolean
  readonly IPAM: {
    readonly Config?: readonly { readonly Subnet?: string; readonly Gateway?: string }[] | null
  } | null
  readonly Labels: Readonly<Record<string, string>> | null
}

interface ConnectBody {
  readonly Container: string
  readonly Force: boolean
  readonly EndpointConfig: {
    readonly Aliases?: readonly string[] | null
    readonly IPAMConfig?: { readonly IPv4Address?: string } | null
  } | null
}

/** Networks that are none of berth's bridges but that docker's clients expect. Their ids are fixed. */
const builtIn = [
  { name: 'host', driver: 'host', id: '68'.repeat(32) },
  { name: 'none', driver: 'null', id: '6e'.repeat(32) },
]

/** `/networks/…`. */
export function networkRoutes({ networks, views }: DockerEngine): Route[] {
  const names = () => new Map(views.list().map((c) => [c.id, c.settings.name]))
  const all = () => {
    const known = names()
    return [...networks.list().map((n) => bridgeView(n, known)), ...builtIn.map(builtInView)]
  }
  const find = (ref: string): NetworkDetails => {
    const list = all()
    const found =
      list.find((n) => n.Name === ref || n.Id === ref) ??
      unique(
        list.filter((n) => ref !== '' && n.Id.startsWith(ref)),
        ref,
      )
    if (!found) throw new BerthError('NOT_FOUND', `network ${ref} not found`)
    return found
  }
  return [
    {
      method: 'GET',
      pattern: '/networks',
      answer: (x) => {
        const filters = parseFilters(x.query.get('filters'), [
          'dangling',
          'driver',
          'id',
          'label',
          'name',
          'scope',
          'type',
        ])
        const isBuiltIn = (n: NetworkDetails) => n.Name === 'bridge' || builtIn.some((b) => b.name === n.Name)
        const rows = all()
          .filter((n) => passes(filters, 'name', (v) => matchesName(v, n.Name)))
          .filter((n) => passes(filters, 'id', (v) => n.Id.startsWith(v)))
          .filter((n) => passes(filters, 'driver', (v) => n.Driver === v))
          .filter((n) => passes(filters, 'scope', (v) => n.Scope === v))
          .filter((n) => passes(filters, 'type', (v) => isBuiltIn(n) === (v === 'builtin')))
          .filter((n) =>
            passes(
              filters,
              'dangling',
              (v) =>
                (Object.keys(n.Containers).length === 0 && !isBuiltIn(n)) === (v === 'true' || v === '1'),
            ),
          )
          .filter((n) => passesLabels(filters, n.Labels))
        x.json(rows)
      },
    },
    {
      method: 'POST',
      pattern: '/networks/create',
      answer: async (x) => {
        const body = await x.body<CreateBody>()
        const name = body.Name ?? ''
        if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) {
          throw new BerthError(
            'INVALID',
            `invalid network name "${name}", only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
          )
        }
        if (body.Driver && body.Driver !== 'bridge' && body.Driver !== 'default') {
          throw new BerthError(
            'NOT_FOUND',
            `could not find plugin ${body.Driver} in v1 plugin registry: plugin not found`,
            { hint: 'berth has bridge networks only: leave out --driver' },
          )
        }
        if (body.EnableIPv6) throw new BerthError('UNSUPPORTED', 'IPv6 networks are not there yet')
        if (all().some((n) => n.Name === name))
          throw new BerthError('ALREADY_EXISTS', `network with name ${name} already exists`)
        const [config] = body.IPAM?.Config ?? []
        const made = await networks.create(name, {
          internal: body.Internal === true,
          labels: body.Labels ?? {},
          ...(config?.Subnet && { subnet: config.Subnet }),
          ...(config?.Gateway && { gateway: config.Gateway }),
        })
        x.json({ Id: made.id, Warning: '' }, 201)
      },
    },
    { method: 'GET', pattern: '/networks/:id', answer: (x) => x.json(find(x.parameters[0] ?? '')) },
    {
      method: 'DELETE',
      pattern: '/networks/:id',
      answer: async (x) => {
        const network = find(x.parameters[0] ?? '')
        if (network.Name === 'bridge' || builtIn.some((b) => b.name === network.Name)) {
          throw new BerthError('FORBIDDEN', `${network.Name} is a pre-defined network and cannot be removed`)
        }
        const members = Object.values(network.Containers).map((m) => m.Name)
        if (members.length > 0) {
          throw new BerthError(
            'FORBIDDEN',
            `error while removing network: network ${network.Name} id ${network.Id} has active endpoints (${members.join(', ')})`,
            {
              hint: `berth network disconnect ${network.Name} ${members[0]}`,
            },
          )
        }
        await networks.remove(network.Name)
        x.empty()
      },
    },
    {
      method: 'POST',
      pattern: '/networks/:id/connect',
      answer: async (x) => {
        const network = find(x.parameters[0] ?? '')
        const body = await x.body<ConnectBody>()
        const { id } = views.inspect(body.Container ?? '')
        const address = body.EndpointConfig?.IPAMConfig?.IPv4Address
        await networks.connect(network.Name, id, {
          aliases: body.EndpointConfig?.Aliases ?? [],
          ...(address && { address }),
        })
        x.empty(200)
      },
    },
    {
      method: 'POST',
      pattern: '/networks/:id/disconnect',
      answer: async (x) => {
        const network = find(x.parameters[0] ?? '')
        const body = await x.body<ConnectBody>()
        const { id } = views.inspect(body.Container ?? '')
        await networks.disconnect(network.Name, id, { force: body.Force === true })
        x.empty(200)
      },
    },
  ]
}

function unique(found: readonly NetworkDetails[], ref: string): NetworkDetails | undefined {
  if (found.length > 1)
    throw new BerthError(
      'INVALID',
      `network ${ref} is ambiguous (${found.length} matches found based on ID prefix)`,
    )
  return found[0]
}

function bridgeView(network: NetworkView, names: ReadonlyMap<string, string>): NetworkDetails {
  const members = network.members.map((m): [string, NetworkMember] => [
    m.sandboxId,
    {
      Name: names.get(m.sandboxId) ?? m.sandboxId.slice(0, 12),
      EndpointID: m.endpointId,
      MacAddress: m.mac,
      IPv4Address: `${m.address}/${m.prefixLength}`,
      IPv6Address: '',
      Interface: m.interfaceName,
    },
  ])
  return {
    ...base,
    Name: network.name,
    Id: network.id,
    Created: new Date(network.created).toISOString(),
    Driver: 'bridge',
    IPAM: { Driver: 'default', Options: {}, Config: [{ Subnet: network.subnet, Gateway: network.gateway }] },
    Internal: network.internal,
    Containers: Object.fromEntries(members),
    Options: { 'com.docker.network.bridge.name': network.bridge },
    Labels: network.labels,
  }
}

const base = {
  Scope: 'local',
  EnableIPv6: false,
  Internal: false,
  Attachable: false,
  Ingress: false,
  ConfigFrom: { Network: '' },
  ConfigOnly: false,
  Containers: {},
  Options: {},
  Labels: {},
}

function builtInView({ name, driver, id }: { name: string; driver: string; id: string }): NetworkDetails {
  return {
    ...base,
    Name: name,
    Id: id,
    Created: new Date(0).toISOString(),
    Driver: driver,
    IPAM: { Driver: 'default', Options: null, Config: [] },
  }
}
