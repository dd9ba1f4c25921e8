import { BerthError } from '../base/error.ts'
import { contains, formatIpv4, formatSubnet, overlaps, type Subnet } from './address.ts'
import { nextSubnet } from './pool.ts'

/** The pool's halves: the default network, and where other networks are made. */
export function splitPool(pool: Subnet): { first: Subnet; second: Subnet } {
  const prefixLength = pool.prefixLength + 1
  return {
    first: { base: pool.base, prefixLength },
    second: { base: pool.base + 2 ** (32 - prefixLength), prefixLength },
  }
}

/**
 * The subnet of a new network: the one that is asked for, or the first free /24 of the pool's second half. Throws
 * CONFLICT, naming the other, when it overlaps a network, the services or a route of the host.
 */
export function planSubnet(options: {
  readonly asked?: Subnet
  readonly gateway?: number
  readonly pool: Subnet
  readonly services: Subnet
  readonly networks: readonly { readonly name: string; readonly subnet: Subnet }[]
  readonly routes: readonly Subnet[]
}): Subnet {
  const { second } = splitPool(options.pool)
  const networks = options.networks.map(({ subnet }) => subnet)
  const subnet =
    options.asked ??
    nextSubnet(second, Math.max(24, second.prefixLength), [...networks, options.services, ...options.routes])
  if (!subnet) {
    throw new BerthError('CONFLICT', `Cannot find a free subnet in ${formatSubnet(second)}`, {
      hint: 'name one with --subnet',
    })
  }
  if (subnet.prefixLength > 29) {
    throw new BerthError('INVALID', `Cannot use subnet ${formatSubnet(subnet)}: it must be /29 or larger`)
  }
  if (options.gateway !== undefined && !contains(subnet, options.gateway)) {
    throw new BerthError(
      'INVALID',
      `Cannot use gateway ${formatIpv4(options.gateway)}: it is none of ${formatSubnet(subnet)}`,
    )
  }
  const other = options.networks.find((network) => overlaps(network.subnet, subnet))
  const foreign = [options.services, ...options.routes].find((taken) => overlaps(taken, subnet))
  if (other || foreign) {
    const whose = other ? `network "${other.name}"` : `${foreign ? formatSubnet(foreign) : ''} of this host`
    throw new BerthError('CONFLICT', `Cannot use subnet ${formatSubnet(subnet)}: it overlaps ${whose}`)
  }
  return subnet
}
