import { type HostPort, portsMeet } from '../network/ports.ts'
import type { ClusterObject } from '../release/cluster.ts'

interface ServiceShape {
  readonly spec?: {
    readonly type?: string
    readonly ports?: readonly { readonly port: number; readonly protocol?: string }[]
  }
}

/** The ports of this machine that a release's objects will take and those before did not have. */
export function newPorts(objects: readonly ClusterObject[], before: readonly ClusterObject[]): HostPort[] {
  const held = hostPorts(before)
  return hostPorts(objects).filter((port) => !held.some((other) => portsMeet(port, other)))
}

/** A Service of type LoadBalancer has its ports on the machine itself. */
function hostPorts(objects: readonly ClusterObject[]): HostPort[] {
  return objects
    .filter(({ kind }) => kind === 'Service')
    .map((object) => (object as unknown as ServiceShape).spec)
    .filter((spec) => spec?.type === 'LoadBalancer')
    .flatMap((spec) => spec?.ports ?? [])
    .map(({ port, protocol = 'TCP' }) => ({
      hostIp: '',
      hostPort: port,
      protocol: protocol.toLowerCase() as HostPort['protocol'],
    }))
}
