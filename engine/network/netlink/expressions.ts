import { type Attribute, be32, decodeAttributes, readBe32, readText, text } from './wire.ts'

/**
 * Expressions of nf_tables rules: they load registers, compare, look up, translate. linux/netfilter/nf_tables.h
 * Registers: 0 holds a verdict, `reg(n)` is the n-th of sixteen of 4 bytes; longer values continue in the next.
 */
export type Expression = readonly [name: string, attributes: readonly Attribute[]]

/** A decision: end (`accept`, `drop`), or continue in another chain. */
export type Verdict =
  | { readonly verdict: 'accept' | 'drop' | 'return' }
  | { readonly verdict: 'jump' | 'goto'; readonly chain: string }

const verdictCodes = { drop: 0, accept: 1, jump: -3, goto: -4, return: -5 } as const

/** The register of 4 bytes with this number, from 0 to 15. */
export const reg = (n: number): number => 8 + n

const dataValue = 1
const dataVerdict = 2

/** NFTA_DATA_VERDICT. */
export function verdictData(verdict: Verdict): Attribute {
  const code: Attribute = [1, be32(verdictCodes[verdict.verdict] >>> 0)]
  return [dataVerdict, 'chain' in verdict ? [code, [2, text(verdict.chain)]] : [code]]
}

/** The verdict that NFTA_DATA_VERDICT's bytes say; nothing for one that berth never sets. */
export function readVerdict(bytes: Uint8Array | undefined): Verdict | undefined {
  if (!bytes) return undefined
  const parts = decodeAttributes(bytes)
  const code = (readBe32(parts.get(1)) ?? 0) | 0
  const chain = readText(parts.get(2))
  for (const [verdict, number] of Object.entries(verdictCodes) as [keyof typeof verdictCodes, number][]) {
    if (number !== code) continue
    if (verdict !== 'jump' && verdict !== 'goto') return { verdict }
    return chain === undefined ? undefined : { verdict, chain }
  }
  return undefined
}

/** NFTA_DATA_VALUE. */
export const valueData = (value: Uint8Array): Attribute => [dataValue, value]

const metaKeys = { mark: 3, iifname: 6, oifname: 7, l4proto: 16 } as const

/** Loads a fact about the packet. Interface names take 16 bytes: four registers. */
export function meta(key: keyof typeof metaKeys, to: number): Expression {
  return [
    'meta',
    [
      [2, be32(metaKeys[key])],
      [1, be32(to)],
    ],
  ]
}

const bases = { network: 1, transport: 2 } as const

/** Loads bytes of the packet's header. */
function payload(base: keyof typeof bases, offset: number, length: number, to: number): Expression {
  return [
    'payload',
    [
      [1, be32(to)],
      [2, be32(bases[base])],
      [3, be32(offset)],
      [4, be32(length)],
    ],
  ]
}

/** Where fields of IPv4 and of TCP, UDP, SCTP lie. */
export const loadSource = (to: number): Expression => payload('network', 12, 4, to)
export const loadDestination = (to: number): Expression => payload('network', 16, 4, to)
export const loadPort = (to: number): Expression => payload('transport', 2, 2, to)

/** Goes on with the rule only when the register is (or, `not`, is not) this value. */
export function compare(from: number, value: Uint8Array, not = false): Expression {
  return [
    'cmp',
    [
      [1, be32(from)],
      [2, be32(not ? 1 : 0)],
      [3, [valueData(value)]],
    ],
  ]
}

/** `register & mask`, in place. */
export function mask(register: number, bits: Uint8Array): Expression {
  return [
    'bitwise',
    [
      [1, be32(register)],
      [2, be32(register)],
      [3, be32(bits.length)],
      [4, [valueData(bits)]],
      [5, [valueData(new Uint8Array(bits.length))]],
    ],
  ]
}

/** Goes on only when the key that starts in this register is (or is not) in the set. */
export function inSet(set: string, from: number, not = false): Expression {
  const inverted: Attribute[] = not ? [[5, be32(1)]] : []
  return ['lookup', [[2, be32(from)], [1, text(set)], ...inverted]]
}

/** Loads what the map has for the key, or ends the rule. `to` 0: the map holds verdicts, which are then taken. */
export function fromMap(map: string, from: number, to: number): Expression {
  return [
    'lookup',
    [
      [2, be32(from)],
      [3, be32(to)],
      [1, text(map)],
    ],
  ]
}

export function decide(verdict: Verdict): Expression {
  return [
    'immediate',
    [
      [1, be32(0)],
      [2, [verdictData(verdict)]],
    ],
  ]
}

/** Sends the connection elsewhere: address and port as loaded. */
export function destinationNat(address: number, port: number): Expression {
  return [
    'nat',
    [
      [1, be32(1)],
      [2, be32(2)],
      [3, be32(address)],
      [5, be32(port)],
    ],
  ]
}

export const masquerade: Expression = ['masq', []]

const trackedKeys = { state: 0, status: 2 } as const

/** Loads what connection tracking knows: bits, in the machine's order. */
export function tracked(key: keyof typeof trackedKeys, to: number): Expression {
  return [
    'ct',
    [
      [2, be32(trackedKeys[key])],
      [1, be32(to)],
    ],
  ]
}

/** Loads a random number below `modulus`. */
export function random(modulus: number, to: number): Expression {
  return [
    'numgen',
    [
      [1, be32(to)],
      [2, be32(modulus)],
      [3, be32(1)],
      [4, be32(0)],
    ],
  ]
}

/** Loads a hash (Jenkins) of registers, below `modulus`: the same source finds the same number. */
export function hash(
  from: number,
  lengthBytes: number,
  options: { modulus: number; seed: number; to: number },
): Expression {
  return [
    'hash',
    [
      [1, be32(from)],
      [2, be32(options.to)],
      [3, be32(lengthBytes)],
      [4, be32(options.modulus)],
      [5, be32(options.seed)],
      [6, be32(0)],
      [7, be32(0)],
    ],
  ]
}

/** Loads what the routing table says the destination is: 2 is an address of this host (RTN_LOCAL). */
export function destinationKind(to: number): Expression {
  return [
    'fib',
    [
      [3, be32(2)],
      [2, be32(3)],
      [1, be32(to)],
    ],
  ]
}

const portUnreachable = 3

/** Answers with a reset (`tcp`) or ICMP port unreachable. */
export function reject(how: 'tcp-reset' | 'icmp'): Expression {
  const attributes: Attribute[] = [[1, be32(how === 'icmp' ? 0 : 1)]]
  attributes.push([2, Uint8Array.of(how === 'icmp' ? portUnreachable : 0)])
  return ['reject', attributes]
}

export const counter: Expression = ['counter', []]
