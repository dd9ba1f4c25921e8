import type { HostPort } from '../network/ports.ts'
import type { ClusterObject } from '../release/cluster.ts'

interface ServiceShape {
  readonly spec?: {
    readonly type?: string
    readonly ports?: readonly { readonly port: number; readonly protocol?: string }[]
  }
}

/** The ports of this machine that a chart's Services of type LoadBalancer will take. */
export function chartPorts(objects: readonly ClusterObject[]): HostPort[] {
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
