import { BerthError } from '../../engine/base/error.ts'

export interface PublishedPort {
  /** `80/tcp`. */
  readonly key: string
  readonly HostIp: string
  /** Empty: any free port. */
  readonly HostPort: string
}

/**
 * `-p [ADDRESS:][HOST:]CONTAINER[/PROTOCOL]`, each port a number or a range of the same length:
 * `8080:80`, `127.0.0.1::80/udp`, `[::1]:80:80`, `8000-8002:80-82`.
 */
export function parsePort(text: string): PublishedPort[] {
  const match = /^(?:(?:\[([^\]]*)\]|([\d.]*)):)?(?:([\d-]*):)?([\d-]+)(?:\/(\w+))?$/.exec(text)
  // `8080:80` reads as an address of digits: an address has dots, or is empty before `::`.
  const fixed = match && match[2] !== undefined && !match[2].includes('.') && match[3] === undefined
  const address = fixed ? '' : (match?.[1] ?? match?.[2] ?? '')
  const host = fixed ? match[2] : match?.[3]
  const inside = range(match?.[4] ?? '', text)
  const protocol = (match?.[5] ?? 'tcp').toLowerCase()
  if (!['tcp', 'udp', 'sctp'].includes(protocol)) throw wrong(text, `"${protocol}" is not tcp, udp or sctp`)
  const outside = host ? range(host, text) : undefined
  if (outside && inside.length > 1 && outside.length !== inside.length)
    throw wrong(text, 'the ranges differ in length')
  return inside.map((port, i) => ({
    key: `${port}/${protocol}`,
    HostIp: address,
    // One container port and a range outside: the first free one of the range.
    HostPort: !outside ? '' : inside.length === 1 ? (host ?? '') : String(outside[i]),
  }))
}

function range(text: string, whole: string): number[] {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text)
  const first = Number(match?.[1])
  const last = Number(match?.[2] ?? match?.[1])
  if (!match || first < 1 || last > 65_535 || last < first) throw wrong(whole, `"${text}" is not a port`)
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

function wrong(text: string, reason: string): BerthError {
  return new BerthError('USAGE', `Cannot publish "${text}": ${reason}`, {
    hint: 'write [ADDRESS:][HOST_PORT:]CONTAINER_PORT[/udp], such as 8080:80',
  })
}
