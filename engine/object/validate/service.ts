import type { EndpointSlice, Service } from '../types.generated.ts'
import type { Causes } from './causes.ts'
import { checkImmutable, checkLabels } from './meta.ts'
import { dnsLabel, dnsSubdomain, ipFamily, portName, portNumber, portNumberOrName } from './names.ts'

export function checkService({ spec }: Service, causes: Causes): void {
  causes.oneOf('spec.type', spec.type, ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'])
  causes.oneOf('spec.sessionAffinity', spec.sessionAffinity, ['ClientIP', 'None'])
  checkLabels('spec.selector', spec.selector, causes)
  const headless = spec.clusterIP === 'None'
  const ports = spec.ports ?? []
  if (ports.length === 0 && !headless && spec.type !== 'ExternalName') causes.required('spec.ports')
  if (spec.type === 'ExternalName') {
    if (spec.externalName)
      causes.malformed(
        'spec.externalName',
        spec.externalName,
        dnsSubdomain(spec.externalName.replace(/\.$/, '')),
      )
    else causes.required('spec.externalName')
    if (spec.clusterIP) causes.forbidden('spec.clusterIPs[0]', 'may not be set when `type` is ExternalName')
  } else if (headless && spec.type !== 'ClusterIP') {
    causes.invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${spec.type} services`)
  } else if (spec.clusterIP && !headless && ipFamily(spec.clusterIP) === 0) {
    causes.invalid(
      'spec.clusterIPs[0]',
      spec.clusterIP,
      'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    )
  }
  const names = new Set<string>()
  const taken = new Set<string>()
  for (const [i, port] of ports.entries()) {
    const path = `spec.ports[${i}]`
    if (!port.name && ports.length > 1) causes.required(`${path}.name`)
    if (port.name) {
      causes.malformed(`${path}.name`, port.name, dnsLabel(port.name))
      if (names.has(port.name)) causes.duplicate(`${path}.name`, port.name)
      names.add(port.name)
    }
    causes.malformed(`${path}.port`, port.port, portNumber(port.port))
    causes.oneOf(`${path}.protocol`, port.protocol, ['SCTP', 'TCP', 'UDP'])
    if (port.targetPort !== undefined) {
      causes.malformed(`${path}.targetPort`, port.targetPort, portNumberOrName(port.targetPort))
    }
    if (port.nodePort && (spec.type === 'ClusterIP' || spec.type === 'ExternalName')) {
      causes.forbidden(`${path}.nodePort`, `may not be used when \`type\` is '${spec.type}'`)
    }
    const key = `${port.protocol}/${port.port}`
    if (taken.has(key)) causes.duplicate(path, { protocol: port.protocol, port: port.port })
    taken.add(key)
  }
  for (const [i, address] of (spec.externalIPs ?? []).entries()) {
    if (ipFamily(address) === 0)
      causes.invalid(`spec.externalIPs[${i}]`, address, 'must be a valid IP address')
  }
  if (spec.externalTrafficPolicy) {
    causes.oneOf('spec.externalTrafficPolicy', spec.externalTrafficPolicy, ['Cluster', 'Local'])
  }
}

export function checkServiceUpdate(next: Service, previous: Service, causes: Causes): void {
  if (next.spec.type !== 'ExternalName' && previous.spec.type !== 'ExternalName') {
    checkImmutable('spec.clusterIPs[0]', next.spec.clusterIP, previous.spec.clusterIP, causes)
  }
}

export function checkEndpointSlice(slice: EndpointSlice, causes: Causes): void {
  causes.oneOf('addressType', slice.addressType, ['FQDN', 'IPv4', 'IPv6'])
  for (const [i, endpoint] of (slice.endpoints ?? []).entries()) {
    if (endpoint.addresses.length === 0)
      causes.required(`endpoints[${i}].addresses`, 'must contain at least 1 address')
    for (const [j, address] of endpoint.addresses.entries()) {
      const family = slice.addressType === 'IPv6' ? 6 : 4
      if (slice.addressType !== 'FQDN' && ipFamily(address) !== family) {
        causes.invalid(`endpoints[${i}].addresses[${j}]`, address, `must be an ${slice.addressType} address`)
      }
    }
  }
  for (const [i, port] of (slice.ports ?? []).entries()) {
    if (port.name)
      causes.malformed(
        `ports[${i}].name`,
        port.name,
        port.name.length > 15 ? dnsLabel(port.name) : portName(port.name),
      )
    if (port.port !== undefined) causes.malformed(`ports[${i}].port`, port.port, portNumber(port.port))
  }
}

export function checkEndpointSliceUpdate(next: EndpointSlice, previous: EndpointSlice, causes: Causes): void {
  checkImmutable('addressType', next.addressType, previous.addressType, causes)
}
