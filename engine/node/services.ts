import type { NamedPod, NamedService } from '../network/names.ts'
import type { Protocol, ServiceAddress } from '../network/types.ts'
import type { Endpoint, EndpointSlice, Pod, Service, ServicePort } from '../object/types.generated.ts'

const serviceNameLabel = 'kubernetes.io/service-name'

export interface ServicePlan {
  /** What the firewall forwards. */
  readonly addresses: readonly ServiceAddress[]
  /** What DNS answers. */
  readonly names: readonly NamedService[]
  readonly pods: readonly NamedPod[]
}

/** kube-proxy's and the cluster DNS's part: Services and their EndpointSlices become addresses and names. */
export function planServices(
  services: readonly Service[],
  slices: readonly EndpointSlice[],
  pods: readonly Pod[],
): ServicePlan {
  const byService = Map.groupBy(
    slices,
    ({ metadata }) => `${metadata.namespace}/${metadata.labels?.[serviceNameLabel]}`,
  )
  const slicesOf = ({ metadata }: Service) => byService.get(`${metadata.namespace}/${metadata.name}`) ?? []
  const sorted = [...services].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
  return {
    addresses: sorted.flatMap((service) => addressesOf(service, slicesOf(service))),
    names: sorted.map((service) => nameOf(service, slicesOf(service))),
    pods: pods.flatMap(({ metadata, status, spec }) =>
      // On the host's network the address is everybody's.
      status?.podIP && !spec.hostNetwork
        ? [{ address: status.podIP, namespace: metadata.namespace ?? '' }]
        : [],
    ),
  }
}

function keyOf({ metadata }: Service): string {
  return `${metadata.namespace}/${metadata.name}`
}

function addressesOf(service: Service, slices: readonly EndpointSlice[]): readonly ServiceAddress[] {
  const { clusterIP, type, sessionAffinity } = service.spec
  const address = clusterIP && clusterIP !== 'None' ? { address: clusterIP } : {}
  const sticky = sessionAffinity === 'ClientIP' ? { sticky: true } : {}
  if (!clusterIP || clusterIP === 'None') return []
  return (service.spec.ports ?? []).flatMap((port): ServiceAddress[] => {
    const base = {
      name: keyOf(service),
      port: port.port,
      protocol: protocolOf(port),
      endpoints: endpointsOf(port, slices),
      ...sticky,
    }
    const balanced = type === 'LoadBalancer' ? { hostPort: port.port } : {}
    // A node port is a second way in from the host; the ClusterIP is told once.
    const nodePort: ServiceAddress[] =
      port.nodePort && type !== 'ClusterIP' ? [{ ...base, hostPort: port.nodePort }] : []
    return [{ ...base, ...address, ...balanced }, ...nodePort]
  })
}

function endpointsOf(port: ServicePort, slices: readonly EndpointSlice[]) {
  return slices.flatMap((slice) => {
    const target = slice.ports?.find(
      (one) => (one.name ?? '') === (port.name ?? '') && (one.protocol ?? 'TCP') === (port.protocol ?? 'TCP'),
    )
    if (target?.port === undefined) return []
    const number = target.port
    return readyOf(slice).flatMap((endpoint) =>
      endpoint.addresses.map((address) => ({ address, port: number })),
    )
  })
}

function nameOf(service: Service, slices: readonly EndpointSlice[]): NamedService {
  const { clusterIP, externalName, ports = [] } = service.spec
  return {
    namespace: service.metadata.namespace ?? '',
    name: service.metadata.name ?? '',
    ...(clusterIP && clusterIP !== 'None' ? { address: clusterIP } : {}),
    ...(externalName ? { externalName } : {}),
    ports: ports.map((port) => ({ name: port.name ?? '', port: port.port, protocol: protocolOf(port) })),
    hosts: slices.flatMap((slice) =>
      readyOf(slice).flatMap(({ addresses, hostname }) =>
        addresses.map((address) => ({ address, ...(hostname ? { hostname } : {}) })),
      ),
    ),
  }
}

function readyOf(slice: EndpointSlice): readonly Endpoint[] {
  return slice.endpoints.filter((endpoint) => endpoint.conditions?.ready !== false)
}

function protocolOf(port: ServicePort): Protocol {
  return (port.protocol ?? 'TCP').toLowerCase() as Protocol
}
