import type { Target } from './firewall/elements.ts'
import type { PublishedPort } from './types.ts'

/** Whether the address stands for every address of the host. */
export function isAnyAddress(address: string): boolean {
  return address === '' || address === '0.0.0.0' || address === '::'
}

/** A port of the host. */
export type HostPort = Pick<PublishedPort, 'hostIp' | 'hostPort' | 'protocol'>

/** Whether two ports cannot belong to two owners at once. */
export function portsMeet(a: HostPort, b: HostPort): boolean {
  return (
    a.protocol === b.protocol &&
    a.hostPort === b.hostPort &&
    (a.hostIp === b.hostIp || isAnyAddress(a.hostIp) || isAnyAddress(b.hostIp))
  )
}

/**
 * What becomes of a sandbox's published ports: which of before stay (also for one that asked for any), which are new,
 * which go.
 */
export function planPorts(
  before: readonly PublishedPort[],
  asked: readonly PublishedPort[],
): {
  readonly keep: ReadonlyMap<PublishedPort, PublishedPort>
  readonly gone: readonly PublishedPort[]
} {
  const keep = new Map<PublishedPort, PublishedPort>()
  const left = new Set(before)
  for (const port of asked) {
    const same = [...left].find((old) => isServedBy(port, old))
    if (!same) continue
    left.delete(same)
    keep.set(port, same)
  }
  return { keep, gone: [...left] }
}

function isServedBy(asked: PublishedPort, old: PublishedPort): boolean {
  return (
    old.hostIp === asked.hostIp &&
    (asked.hostPort === 0 || old.hostPort === asked.hostPort) &&
    old.containerPort === asked.containerPort &&
    old.protocol === asked.protocol &&
    old.address === asked.address
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
