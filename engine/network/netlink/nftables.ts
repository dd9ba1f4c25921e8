import { type Expression, readVerdict, type Verdict, valueData, verdictData } from './expressions.ts'
import {
  type Attribute,
  be32,
  be64,
  decodeAttributes,
  decodeMessage,
  encodeMessage,
  flag,
  joinMessages,
  listAttributes,
  messageSequence,
  messageType,
  readBe32,
  readBe64,
  readText,
  text,
  withSequence,
} from './wire.ts'

/** NETLINK_NETFILTER, the protocol of these messages. */
export const netlinkNetfilter = 12
/** Multicast group of changes of nf_tables. */
export const nftablesGroup = 7

type Family = 'inet' | 'ip'

const families: Readonly<Record<Family, number>> = { inet: 1, ip: 2 }
const subsystem = 10 << 8
const type = {
  newTable: 0,
  getTable: 1,
  deleteTable: 2,
  newChain: 3,
  getChain: 4,
  newRule: 6,
  getRule: 7,
  deleteRule: 8,
  newSet: 9,
  newElement: 12,
  getElement: 13,
  deleteElement: 14,
  newGeneration: 15,
} as const
const batchBegin = 0x10
const batchEnd = 0x11
/** A chain's policy: NF_ACCEPT. */
const accepts = 1

export const hooks = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const

export interface TableRef {
  readonly family: Family
  readonly table: string
}

export interface BaseChain {
  readonly type: 'filter' | 'nat'
  readonly hook: keyof typeof hooks
  readonly priority: number
}

/** Types of keys and data: what `nft list` shows them as, and their length. libnftables, datatype.h */
const datatypes = {
  ipv4_addr: { id: 7, bytes: 4 },
  inet_proto: { id: 12, bytes: 1 },
  inet_service: { id: 13, bytes: 2 },
  mark: { id: 19, bytes: 4 },
  ifname: { id: 41, bytes: 16 },
} as const
type Datatype = keyof typeof datatypes

export interface SetShape {
  readonly name: string
  /** More than one: a concatenation, each part padded to 4 bytes. */
  readonly key: readonly Datatype[]
  /** A map when given. */
  readonly data?: readonly Datatype[] | 'verdict'
}

export interface Element {
  readonly key: Uint8Array
  readonly data?: Uint8Array | Verdict
}

/** struct nfgenmsg: u8 family | u8 version | be16 resource. */
const header = (family: Family) => Uint8Array.of(families[family], 0, 0, 0)
const change = (what: number, flags: number, family: Family, attributes: readonly Attribute[]) =>
  encodeMessage(subsystem | what, flag.request | flags, header(family), attributes)

/**
 * The changes as one transaction: all or none, and visible to packets at one moment. The event that tells of it
 * carries the sequence number.
 */
export function transaction(changes: readonly Uint8Array[], sequence = 0): Uint8Array {
  const fixed = Uint8Array.of(0, 0, 0, 10)
  const messages = [
    encodeMessage(batchBegin, flag.request, fixed),
    ...changes,
    encodeMessage(batchEnd, flag.request, fixed),
  ]
  return joinMessages(messages.map((message) => withSequence(message, sequence)))
}

/** Makes the table; one that is there stays. */
export function addTable({ family, table }: TableRef): Uint8Array {
  return change(type.newTable, flag.create, family, [
    [1, text(table)],
    [2, be32(0)],
  ])
}

/** Removes the table with all in it. ENOENT when there is none. */
export function deleteTable({ family, table }: TableRef): Uint8Array {
  return change(type.deleteTable, 0, family, [[1, text(table)]])
}

export function addChain({ family, table }: TableRef, name: string, base?: BaseChain): Uint8Array {
  const hooked: Attribute[] = base
    ? [
        [7, text(base.type)],
        [
          4,
          [
            [1, be32(hooks[base.hook])],
            [2, be32(base.priority >>> 0)],
          ],
        ],
        [5, be32(accepts)],
      ]
    : []
  return change(type.newChain, flag.create, family, [[1, text(table)], [3, text(name)], ...hooked])
}

/** Adds a rule at the end of its chain, or (`first`) before all others. The comment is what `nft list` shows. */
export function addRule(
  { family, table }: TableRef,
  chain: string,
  rule: { expressions: readonly Expression[]; comment?: string; first?: boolean },
): Uint8Array {
  const flags = flag.create | (rule.first ? 0 : flag.append)
  const list: Attribute[] = rule.expressions.map(([name, attributes]) => [
    1,
    [
      [1, text(name)],
      [2, attributes],
    ],
  ])
  const comment: Attribute[] = rule.comment === undefined ? [] : [[7, commentBytes(rule.comment)]]
  return change(type.newRule, flags, family, [[1, text(table)], [2, text(chain)], [4, list], ...comment])
}

export function deleteRule({ family, table }: TableRef, chain: string, handle: bigint): Uint8Array {
  return change(type.deleteRule, 0, family, [
    [1, text(table)],
    [2, text(chain)],
    [3, be64(handle)],
  ])
}

/** Makes a set or map. `id` is any number, different for each set of the transaction. */
export function addSet({ family, table }: TableRef, shape: SetShape, id: number): Uint8Array {
  const isMap: Attribute[] =
    shape.data === undefined
      ? []
      : shape.data === 'verdict'
        ? [
            [6, be32(0xffffff00)],
            [7, be32(16)],
          ]
        : [
            [6, be32(typeId(shape.data))],
            [7, be32(typeBytes(shape.data))],
          ]
  return change(type.newSet, flag.create, family, [
    [1, text(table)],
    [2, text(shape.name)],
    [3, be32(shape.data === undefined ? 0 : 8)],
    [4, be32(typeId(shape.key))],
    [5, be32(typeBytes(shape.key))],
    ...isMap,
    [10, be32(id)],
    ...byteOrder(shape.key),
  ])
}

/** libnftables' user data (u8 type 0 | u8 length | u32): without it `nft list` shows interface names reversed. */
function byteOrder(key: readonly Datatype[]): Attribute[] {
  const [only, second] = key
  if (only === undefined || second !== undefined) return []
  const host = only === 'ifname' || only === 'mark'
  return [[13, Uint8Array.of(0, 4, host ? 1 : 2, 0, 0, 0)]]
}

/** An attribute ends at 64 KiB: elements go in messages of this many. */
const elementsAMessage = 500

export function addElements(ref: TableRef, set: string, elements: readonly Element[]): Uint8Array[] {
  return elementMessages(type.newElement, flag.create, ref, { set, elements })
}

/** Removes elements by key. ENOENT, and with it the whole transaction, when one is not there. */
export function deleteElements(ref: TableRef, set: string, elements: readonly Element[]): Uint8Array[] {
  const keys = elements.map(({ key }) => ({ key }))
  return elementMessages(type.deleteElement, 0, ref, { set, elements: keys })
}

function elementMessages(
  what: number,
  flags: number,
  { family, table }: TableRef,
  { set, elements }: { set: string; elements: readonly Element[] },
): Uint8Array[] {
  const messages: Uint8Array[] = []
  for (let at = 0; at < elements.length; at += elementsAMessage) {
    const list: Attribute[] = elements.slice(at, at + elementsAMessage).map(({ key, data }) => {
      const parts: Attribute[] = [[1, [valueData(key)]]]
      if (data) parts.push([2, [data instanceof Uint8Array ? valueData(data) : verdictData(data)]])
      return [1, parts]
    })
    messages.push(
      change(what, flags, family, [
        [1, text(table)],
        [2, text(set)],
        [3, list],
      ]),
    )
  }
  return messages
}

export function dumpElements({ family, table }: TableRef, set: string): Uint8Array {
  return encodeMessage(subsystem | type.getElement, flag.request | flag.dump, header(family), [
    [1, text(table)],
    [2, text(set)],
  ])
}

/** The elements of one message of a dump. */
export function decodeElements(message: Uint8Array): Element[] {
  const list = listAttributes(decodeMessage(message, 4).attributes.get(3))
  return list.flatMap(([, bytes]): Element[] => {
    const parts = decodeAttributes(bytes)
    const key = decodeAttributes(parts.get(1)).get(1)
    if (!key) return []
    const data = decodeAttributes(parts.get(2))
    const value = data.get(1) ?? readVerdict(data.get(2))
    return [value === undefined ? { key } : { key, data: value }]
  })
}

export function dumpChains(): Uint8Array {
  return encodeMessage(subsystem | type.getChain, flag.request | flag.dump, Uint8Array.of(0, 0, 0, 0))
}

export interface ChainFacts extends TableRef {
  readonly chain: string
  readonly hook: number | undefined
  readonly drops: boolean
}

/** A chain of family ip or inet; nothing for other families. `drops`: its policy is drop. */
export function decodeChain(message: Uint8Array): ChainFacts | undefined {
  const { fixed, attributes } = decodeMessage(message, 4)
  const family = familyOf(fixed.getUint8(0))
  const table = readText(attributes.get(1))
  const chain = readText(attributes.get(3))
  if (!family || table === undefined || chain === undefined) return undefined
  const hook = readBe32(decodeAttributes(attributes.get(4)).get(1))
  return { family, table, chain, hook, drops: readBe32(attributes.get(5)) === 0 }
}

export function dumpRules({ family, table }: TableRef, chain: string): Uint8Array {
  return encodeMessage(subsystem | type.getRule, flag.request | flag.dump, header(family), [
    [1, text(table)],
    [2, text(chain)],
  ])
}

export interface RuleFacts extends TableRef {
  readonly chain: string
  readonly handle: bigint
  readonly comment: string | undefined
  /** Drops or rejects what it matches. */
  readonly stops: boolean
}

export function decodeRule(message: Uint8Array): RuleFacts | undefined {
  const { fixed, attributes } = decodeMessage(message, 4)
  const family = familyOf(fixed.getUint8(0))
  const table = readText(attributes.get(1))
  const chain = readText(attributes.get(2))
  const handle = readBe64(attributes.get(3))
  if (!family || table === undefined || chain === undefined || handle === undefined) return undefined
  const expressions = listAttributes(attributes.get(4)).map(([, value]) => decodeAttributes(value))
  return {
    family,
    table,
    chain,
    handle,
    comment: readComment(attributes.get(7)),
    stops: expressions.some(stops),
  }
}

function stops(expression: ReadonlyMap<number, Uint8Array>): boolean {
  const name = readText(expression.get(1))
  const attributes = decodeAttributes(expression.get(2))
  if (name === 'reject') return true
  if (name === 'target') return /^(REJECT|DROP)$/.test(readText(attributes.get(1)) ?? '')
  if (name !== 'immediate') return false
  return readVerdict(decodeAttributes(attributes.get(2)).get(2))?.verdict === 'drop'
}

/** The sequence number of the transaction whose commit an event tells; nothing for other events. */
export function committedSequence(event: Uint8Array): number | undefined {
  return messageType(event) === (subsystem | type.newGeneration) ? messageSequence(event) : undefined
}

const familyOf = (number: number): Family | undefined =>
  number === families.ip ? 'ip' : number === families.inet ? 'inet' : undefined

/** libnftnl's user data: u8 type (0: comment) | u8 length | text with NUL. */
function commentBytes(comment: string): Uint8Array {
  const bytes = text(comment)
  return Uint8Array.of(0, bytes.length, ...bytes)
}

function readComment(bytes: Uint8Array | undefined): string | undefined {
  for (let at = 0; bytes && at + 2 <= bytes.length; at += 2 + (bytes[at + 1] ?? 0)) {
    if (bytes[at] === 0) return readText(bytes.subarray(at + 2, at + 2 + (bytes[at + 1] ?? 0)))
  }
  return undefined
}

/** Types of a concatenation, 6 bits each. */
const typeId = (types: readonly Datatype[]) =>
  types.reduce((id, datatype) => (id * 64 + datatypes[datatype].id) % 0x100000000, 0)

const typeBytes = (types: readonly Datatype[]) =>
  types.length === 1
    ? types.reduce((sum, datatype) => sum + datatypes[datatype].bytes, 0)
    : types.reduce((sum, datatype) => sum + ((datatypes[datatype].bytes + 3) & ~3), 0)
