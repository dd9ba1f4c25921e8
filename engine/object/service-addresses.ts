import { BerthError } from '../base/error.ts'
import type { Service, ServicePort } from './types.generated.ts'

/** What there is to give out, and what is given. */
export interface ServicePool {
  /** IPv4 subnet of ClusterIPs, as `10.211.0.0/16`. */
  readonly subnet: string
  /** First and last node port. */
  readonly nodePorts: readonly [number, number]
  /** Every other Service that exists. */
  readonly taken: readonly Service[]
}

/** The node ports that Kubernetes gives out. */
export const usualNodePorts: readonly [number, number] = [30000, 32767]

/**
 * A Service with its ClusterIP, node ports and address family filled in, the lowest free ones, as kube-apiserver does
 * before it stores one. `previous` keeps what it has on an update. Throws `UNPROCESSABLE` when a wanted address is taken
 * or out of range, or nothing is free.
 */
export function allocateService(service: Service, pool: ServicePool, previous?: Service): Service {
  const { spec } = service
  if (spec.type === 'ExternalName') return withoutAddresses(service)
  const clusterIP = chooseAddress(service, pool, previous)
  return {
    ...service,
    spec: {
      ...spec,
      clusterIP,
      clusterIPs: [clusterIP],
      ipFamilies: spec.ipFamilies ?? ['IPv4'],
      ipFamilyPolicy: spec.ipFamilyPolicy ?? 'SingleStack',
      ...(spec.ports ? { ports: choosePorts(service, pool, previous) } : {}),
    },
  }
}

function withoutAddresses(service: Service): Service {
  const { clusterIP: _, clusterIPs: __, ipFamilies: ___, ipFamilyPolicy: ____, ...spec } = service.spec
  return { ...service, spec }
}

function chooseAddress(service: Service, pool: ServicePool, previous: Service | undefined): string {
  const taken = new Set(pool.taken.map((other) => other.spec.clusterIP))
  const wanted = service.spec.clusterIP || previous?.spec.clusterIP
  const { first, last } = rangeOf(pool.subnet)
  if (wanted === 'None') return wanted
  if (wanted) {
    const number = numberOf(wanted)
    if (number <= first || number >= last) {
      throw refuse(
        service,
        'spec.clusterIPs',
        `failed to allocate IP ${wanted}: the provided IP (${wanted}) is not in the valid range. The range of valid IPs is ${pool.subnet}`,
      )
    }
    if (taken.has(wanted) && previous?.spec.clusterIP !== wanted) {
      throw refuse(
        service,
        'spec.clusterIPs',
        `failed to allocate IP ${wanted}: provided IP is already allocated`,
      )
    }
    return wanted
  }
  // The first address is the API's own Service, by custom.
  for (let number = first + 2; number < last; number++) {
    const address = textOf(number)
    if (!taken.has(address)) return address
  }
  throw refuse(service, 'spec.clusterIPs', `range is full: ${pool.subnet}`)
}

function choosePorts(
  service: Service,
  pool: ServicePool,
  previous: Service | undefined,
): readonly ServicePort[] {
  const { spec } = service
  const outside =
    spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false)
  if (!outside) return (spec.ports ?? []).map(({ nodePort: _, ...port }) => port)
  const taken = new Set(pool.taken.flatMap((other) => (other.spec.ports ?? []).map(portKey)))
  const [first, last] = pool.nodePorts
  return (spec.ports ?? []).map((port) => {
    const before = previous?.spec.ports?.find(
      (old) => old.port === port.port && old.protocol === port.protocol,
    )
    const wanted = port.nodePort || before?.nodePort
    if (wanted && taken.has(portKey({ ...port, nodePort: wanted }))) {
      throw refuse(service, 'spec.ports[0].nodePort', 'provided port is already allocated', wanted)
    }
    if (wanted && (wanted < first || wanted > last)) {
      throw refuse(
        service,
        'spec.ports[0].nodePort',
        `provided port is not in the valid range. The range of valid ports is ${first}-${last}`,
        wanted,
      )
    }
    let nodePort = wanted ?? first
    while (!wanted && taken.has(portKey({ ...port, nodePort }))) nodePort++
    if (nodePort > last)
      throw refuse(service, 'spec.ports[0].nodePort', `no free port is left in ${first}-${last}`, nodePort)
    taken.add(portKey({ ...port, nodePort }))
    return { ...port, nodePort }
  })
}

function portKey(port: ServicePort): string {
  return `${port.protocol ?? 'TCP'}/${port.nodePort ?? 0}`
}

function refuse(service: Service, field: string, detail: string, value?: number): BerthError {
  const shown =
    value === undefined ? JSON.stringify(service.spec.clusterIPs ?? [service.spec.clusterIP ?? '']) : value
  const message = `Invalid value: ${shown}: ${detail}`
  const name = service.metadata.name ?? ''
  return new BerthError('UNPROCESSABLE', `Service ${JSON.stringify(name)} is invalid: ${field}: ${message}`, {
    details: { causes: [{ reason: 'FieldValueInvalid', field, message }], kind: 'Service', group: '', name },
  })
}

/** The subnet's own and its broadcast address, as numbers. */
function rangeOf(subnet: string): { first: number; last: number } {
  const [address = '', bits = '32'] = subnet.split('/')
  const size = 2 ** (32 - Number(bits))
  const first = Math.floor(numberOf(address) / size) * size
  return { first, last: first + size - 1 }
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}

function textOf(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.')
}
