import type { Target } from './firewall/elements.ts'
import type { PublishedPort } from './types.ts'

/** Whether the address stands for every address of the host. */
export function isAnyAddress(address: string): boolean {
  return address === '' || address === '0.0.0.0' || address === '::'
}

/** Whether two published ports cannot be there at once. */
export function portsMeet(
  a: Pick<PublishedPort, 'hostIp' | 'hostPort' | 'protocol'>,
  b: Pick<PublishedPort, 'hostIp' | 'hostPort' | 'protocol'>,
): boolean {
  return (
    a.protocol === b.protocol &&
    a.hostPort === b.hostPort &&
    (a.hostIp === b.hostIp || isAnyAddress(a.hostIp) || isAnyAddress(b.hostIp))
  )
}

/** What the firewall does for a published port. */
export function portTarget(port: PublishedPort): Target {
  return {
    address: isAnyAddress(port.hostIp) ? undefined : port.hostIp,
    protocol: port.protocol,
    port: port.hostPort,
    endpoints: [{ address: port.address, port: port.containerPort }],
  }
}
