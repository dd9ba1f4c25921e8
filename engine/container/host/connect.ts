import { BerthError } from '../../base/error.ts'
import type { ContainerRecord, NetworkSetting } from '../container.ts'
import type { Life } from './life.ts'
import { namedNetwork, ownNamespaces, writeEtc } from './run.ts'
import { joinNetwork } from './sandbox.ts'

/** Joins a network, at once when it runs; the settings keep it for the next start. Alone. */
export async function connectNetwork(
  life: Life,
  record: ContainerRecord,
  asked: NetworkSetting,
): Promise<void> {
  const { engine } = life
  const { id, settings, networks, hostname } = record
  if (settings.sandbox || !ownNamespaces(record).includes('net')) {
    throw new BerthError(
      'CONFLICT',
      'Container sharing network namespace with another container or host cannot be connected to any other network',
    )
  }
  const network = namedNetwork(engine, record, asked)
  const others = attached(life, record)
  if (others.some((other) => other.name === network.name)) {
    throw new BerthError(
      'FORBIDDEN',
      `Endpoint with name ${settings.name} already exists in network ${network.name}`,
    )
  }
  const changed = {
    ...record,
    settings: {
      ...settings,
      networkMode: others.length === 0 ? network.name : settings.networkMode,
      networks: [...others, { ...asked, name: network.name }],
    },
  }
  if (record.progress.step !== 'up') return void (await life.put(changed))
  const endpoint = await joinNetwork(engine, { id, hostname, network, joined: networks })
  const joined = { ...networks, [network.name]: endpoint }
  await writeEtc(engine, changed, joined)
  await life.put({ ...changed, networks: joined })
}

/** Leaves a network; one that it is not on is fine. Alone. */
export async function disconnectNetwork(life: Life, record: ContainerRecord, asked: string): Promise<void> {
  const { engine } = life
  const name = engine.networks.resolve(asked) ?? asked
  const left = attached(life, record).filter((network) => network.name !== name)
  const { [name]: endpoint, ...networks } = record.networks
  const changed = {
    ...record,
    networks,
    settings: { ...record.settings, networkMode: left[0]?.name ?? 'none', networks: left },
  }
  if (endpoint) {
    await engine.networks.detach(endpoint.endpointId)
    await writeEtc(engine, changed, networks)
  }
  await life.put(changed)
}

/** Networks of the settings by their own names, the mode's first. */
function attached({ engine }: Life, { settings }: ContainerRecord): NetworkSetting[] {
  const own = (network: NetworkSetting) => ({
    ...network,
    name: engine.networks.resolve(network.name) ?? network.name,
  })
  const list = settings.networks.map(own)
  if (settings.networkMode === 'none') return list
  const main = own({ name: settings.networkMode || 'bridge', aliases: [] })
  return list.some((network) => network.name === main.name) ? list : [main, ...list]
}
