import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  type DecodedPacket,
  decode,
  encode,
  type Packet,
} from 'dns-packet'

const recursionDesired = 1 << 8
const recursionAvailable = 1 << 7
const truncated = 1 << 9
const opcodeMask = 0x7800

const rcodes = { ok: 0, malformed: 1, failed: 2, missing: 3, notImplemented: 4, refused: 5 } as const
export type Rcode = keyof typeof rcodes

/** Largest answer over UDP without EDNS0, and the most that berth sends with it (no fragments on usual links). */
const plainBytes = 512
const ednsBytes = 1232

export interface Query {
  readonly id: number
  readonly name: string
  readonly type: string
  readonly isInternet: boolean
  readonly packet: DecodedPacket
  /** Largest answer that the asker takes over UDP; undefined without EDNS0. */
  readonly udpBytes: number | undefined
}

/** A query, the error to answer it with, or nothing: not to be answered at all. */
export function readQuery(
  bytes: Uint8Array,
): Query | { readonly id: number; readonly rcode: Rcode } | undefined {
  if (bytes.length < 12) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const id = view.getUint16(0)
  const flags = view.getUint16(2)
  if (flags & 0x8000) return undefined
  if (flags & opcodeMask) return { id, rcode: 'notImplemented' }
  try {
    const packet = decode(Buffer.from(bytes))
    const [question, second] = packet.questions ?? []
    if (!question || second) return { id, rcode: 'malformed' }
    const edns = packet.additionals?.find((record) => record.type === 'OPT')
    return {
      id,
      name: question.name,
      type: question.type,
      isInternet: (question.class ?? 'IN') === 'IN',
      packet,
      udpBytes: edns && 'udpPayloadSize' in edns ? Number(edns.udpPayloadSize) : undefined,
    }
  } catch {
    return { id, rcode: 'malformed' }
  }
}

export interface Reply {
  readonly rcode: Rcode
  readonly answers?: readonly Answer[]
  readonly authorities?: readonly Answer[]
  readonly additionals?: readonly Answer[]
  readonly authoritative?: boolean
}

/**
 * The answer's bytes. Over UDP one that is too long goes with the records that fit: the asker comes again over TCP, or
 * (older musl, which cannot) takes those.
 */
export function writeReply(query: Query, reply: Reply, transport: 'udp' | 'tcp'): Uint8Array {
  const limit = transport === 'tcp' ? 65_535 : Math.max(plainBytes, Math.min(query.udpBytes ?? 0, ednsBytes))
  const flags =
    rcodes[reply.rcode] |
    recursionAvailable |
    ((query.packet.flags ?? 0) & recursionDesired) |
    (reply.authoritative ? AUTHORITATIVE_ANSWER : 0)
  const packet: Packet = {
    id: query.id,
    type: 'response',
    flags,
    questions: query.packet.questions ?? [],
    answers: [...(reply.answers ?? [])],
    authorities: [...(reply.authorities ?? [])],
    additionals: [...(reply.additionals ?? []), ...edns(query)],
  }
  const whole = encode(packet)
  if (whole.length <= limit) return whole
  const short = { ...packet, flags: flags | truncated, authorities: [], additionals: edns(query) }
  const answers = [...(reply.answers ?? [])]
  for (;;) {
    answers.pop()
    const bytes = encode({ ...short, answers })
    if (bytes.length <= limit || answers.length === 0) return bytes
  }
}

/** The answer to something that could not be read further than its id. */
export function writeError(id: number, rcode: Rcode): Uint8Array {
  return encode({ id, type: 'response', flags: rcodes[rcode] })
}

function edns(query: Query): Answer[] {
  if (query.udpBytes === undefined) return []
  return [
    {
      type: 'OPT',
      name: '.',
      udpPayloadSize: ednsBytes,
      extendedRcode: 0,
      ednsVersion: 0,
      flags: 0,
      flag_do: false,
      options: [],
    } as Answer,
  ]
}

/** The start of authority that goes with "no such name": not to be remembered, for it may exist in a moment. */
export function startOfAuthority(zone: string): Answer {
  return {
    type: 'SOA',
    name: zone,
    ttl: 0,
    data: {
      mname: `ns.dns.${zone}`,
      rname: `hostmaster.${zone}`,
      serial: 1,
      refresh: 7200,
      retry: 1800,
      expire: 86_400,
      minimum: 0,
    },
  }
}
