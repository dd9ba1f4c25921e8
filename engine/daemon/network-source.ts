import type { NetworkSource, NetworkView } from '../api/docker/engine.ts'
import { BerthError } from '../base/error.ts'
import type { Containers } from '../container/host/containers.ts'
import type { Networks } from '../network/host/networks.ts'

/** The networks as docker's API wants them. */
export function dockerNetworks(networks: Networks, containers: Containers): NetworkSource {
  const view = (name: string): NetworkView => {
    const { record, endpoints } = networks.inspect(name)
    const prefixLength = Number(record.subnet.split('/')[1])
    return {
      ...record,
      members: endpoints.map((lease) => ({
        sandboxId: lease.sandboxId,
        endpointId: lease.endpointId,
        address: lease.address,
        prefixLength,
        mac: lease.mac,
        interfaceName: lease.link,
      })),
    }
  }
  return {
    list: () => networks.list().map(({ name }) => view(name)),
    create: async (name, options) => view((await networks.create(name, options)).name),
    remove: (name) => networks.remove(name),
    connect: (name, container, options) => containers.connect(container, { name, ...options }),
    disconnect: (name, container, { force }) => {
      if (!Object.hasOwn(containers.inspect(container).networks, name) && !force) {
        throw new BerthError('FORBIDDEN', `container ${container} is not connected to network ${name}`)
      }
      return containers.disconnect(container, name)
    },
  }
}
