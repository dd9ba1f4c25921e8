import { ipv4Bytes } from '../address.ts'
import {
  type Attribute,
  be16,
  decodeAttributes,
  decodeMessage,
  encodeMessage,
  flag,
  listAttributes,
  u32,
} from './wire.ts'

/** ctnetlink: connections that the kernel tracks. linux/netfilter/nfnetlink_conntrack.h */
const subsystem = 1 << 8
const type = { get: 1, delete: 2 } as const
const cta = { original: 1, reply: 2, id: 12, filter: 25 } as const
const inet = Uint8Array.of(2, 0, 0, 0)
/** CTA_FILTER_F_*: which fields of a tuple a dump compares (Linux 5.8; older kernels refuse the dump). */
const compares = { source: 1, destination: 2, protocol: 8, destinationPort: 32 } as const

/** A connection from whom to whom it was begun, and who answers it. */
export interface Connection {
  readonly answeredBy: { readonly address: number; readonly port: number }
  /** Its original tuple and its id, as the kernel wrote them. */
  readonly identity: readonly Attribute[]
}

/** Connections that this address answers. */
export function dumpAnsweredBy(address: number): Uint8Array {
  return dump([
    [cta.reply, [[1, [[1, ipv4Bytes(address)]]]]],
    [cta.filter, [[2, u32(compares.source)]]],
  ])
}

/** Connections that were begun to this port, of one address or of any. */
export function dumpBegunTo(to: { address: number | undefined; protocol: number; port: number }): Uint8Array {
  const address: Attribute[] = to.address === undefined ? [] : [[1, [[2, ipv4Bytes(to.address)]]]]
  const port: Attribute = [
    2,
    [
      [1, Uint8Array.of(to.protocol)],
      [3, be16(to.port)],
    ],
  ]
  const fields =
    compares.protocol | compares.destinationPort | (to.address === undefined ? 0 : compares.destination)
  return dump([
    [cta.original, [...address, port]],
    [cta.filter, [[1, u32(fields)]]],
  ])
}

const dump = (attributes: readonly Attribute[]) =>
  encodeMessage(subsystem | type.get, flag.request | flag.dump, inet, attributes)

/** The connection of an answer; nothing when it is none of IPv4. */
export function decodeConnection(message: Uint8Array): Connection | undefined {
  const { attributes } = decodeMessage(message, 4)
  const original = attributes.get(cta.original)
  const id = attributes.get(cta.id)
  const reply = decodeAttributes(attributes.get(cta.reply))
  const source = decodeAttributes(reply.get(1)).get(1)
  const port = decodeAttributes(reply.get(2)).get(2)
  if (!original || !id || source?.length !== 4) return undefined
  return {
    answeredBy: { address: bigEndian(source), port: port ? bigEndian(port) : 0 },
    identity: [
      [cta.original, listAttributes(original).map(nested)],
      [cta.id, id],
    ],
  }
}

/** Forgets a connection: its next packet begins a new one. ENOENT when it has gone. */
export function deleteConnection(connection: Connection): Uint8Array {
  return encodeMessage(subsystem | type.delete, flag.request | flag.ack, inet, connection.identity)
}

const bigEndian = (bytes: Uint8Array) => bytes.reduce((sum, byte) => sum * 256 + byte, 0)

/** A tuple's parts (addresses, protocol) are nested attributes themselves; its zone (3) is a number. */
function nested([kind, value]: [number, Uint8Array]): Attribute {
  return [kind, kind === 3 ? value : listAttributes(value)]
}
