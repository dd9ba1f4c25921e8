import { milliValue, readQuantity, wholeValue } from './quantity.ts'
import type { Container, Pod } from './types.generated.ts'

/** What a pod's fields do not say themselves. */
export interface NodeFacts {
  readonly address: string
  readonly cpuMilli: number
  readonly memoryBytes: number
}

/** Values of a pod's fields as `fieldRef` names them, for environment variables and downward files. */
const fields: Readonly<Record<string, (pod: Pod, node: NodeFacts) => string>> = {
  'metadata.name': (pod) => pod.metadata.name ?? '',
  'metadata.namespace': (pod) => pod.metadata.namespace ?? '',
  'metadata.uid': (pod) => pod.metadata.uid ?? '',
  'metadata.labels': (pod) => lines(pod.metadata.labels),
  'metadata.annotations': (pod) => lines(pod.metadata.annotations),
  'spec.nodeName': (pod) => pod.spec.nodeName ?? '',
  'spec.serviceAccountName': (pod) => pod.spec.serviceAccountName ?? 'default',
  'status.hostIP': (_, node) => node.address,
  'status.hostIPs': (_, node) => node.address,
  'status.podIP': (pod) => pod.status?.podIP ?? '',
  'status.podIPs': (pod) => (pod.status?.podIPs ?? []).map((one) => one.ip).join(','),
}

/** The value that a `fieldRef` means; undefined for a field that it cannot name. */
export function fieldValue(path: string, pod: Pod, node: NodeFacts): string | undefined {
  const key = /^metadata\.(labels|annotations)\['([^']*)'\]$/.exec(path)
  if (key) return pod.metadata[key[1] as 'labels' | 'annotations']?.[key[2] ?? ''] ?? ''
  return fields[path]?.(pod, node)
}

/**
 * The value that a `resourceFieldRef` means, divided and rounded up. A limit that is not set is what the node has.
 * CPU counts in cores unless the divisor says otherwise (`1m`), memory in bytes.
 */
export function resourceValue(
  reference: { readonly resource: string; readonly divisor?: string },
  container: Container,
  node: NodeFacts,
): string | undefined {
  const [side, name = ''] = reference.resource.split(/\.(.*)/) as [string, string?]
  if (side !== 'limits' && side !== 'requests') return undefined
  const amount = container.resources?.[side]?.[name]
  const divisor = reference.divisor && reference.divisor !== '0' ? reference.divisor : '1'
  if (name === 'cpu') {
    const milli =
      amount === undefined ? (side === 'limits' ? node.cpuMilli : 0) : milliValue(readQuantity(amount))
    return String(Math.ceil(milli / milliValue(readQuantity(divisor))))
  }
  const whole = name === 'memory' && side === 'limits' ? node.memoryBytes : 0
  const bytes = amount === undefined ? whole : wholeValue(readQuantity(amount))
  return String(Math.ceil(bytes / wholeValue(readQuantity(divisor))))
}

/** A map as a downward file holds it: `key="value"`, sorted, the value quoted as in Go. */
function lines(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n')
}
