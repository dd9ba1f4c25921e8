import type { Subnet } from '../address.ts'
import {
  addElements,
  addTable,
  deleteElements,
  deleteTable,
  type Element,
  type TableRef,
} from '../netlink/nftables.ts'
import { type Elements, picksOf } from './elements.ts'
import { setNames, sets } from './sets.ts'
import { addPickChain, addSkeleton } from './skeleton.ts'

/** What the kernel holds of the table, as far as berth put it there. */
export interface Loaded {
  readonly elements: Elements
  /** Names of the chains that pick an endpoint. */
  readonly picks: ReadonlySet<string>
}

/**
 * The changes of one transaction that lead from what is loaded to what is wanted; none when it is the same. Without
 * `loaded` the whole table is made anew, which replaces one that is there at one moment.
 */
export function planChange(
  loaded: Loaded | undefined,
  wanted: Elements,
  options: { readonly table: TableRef; readonly services: Subnet },
): { readonly changes: readonly Uint8Array[]; readonly next: Loaded } {
  const { table } = options
  const changes: Uint8Array[] = []
  const before = loaded?.picks ?? new Set<string>()
  const added = [...picksOf(wanted)].filter((name) => !before.has(name))
  if (!loaded) {
    changes.push(
      addTable(table),
      deleteTable(table),
      addTable(table),
      ...addSkeleton(table, options.services),
    )
  }
  for (const name of added) changes.push(...addPickChain(table, name))
  for (const name of setNames) {
    const old = loaded?.elements[name]
    const gone: Element[] = []
    const fresh: Element[] = []
    for (const [key, element] of old ?? []) {
      if (!sameElement(element, wanted[name].get(key))) gone.push(element)
    }
    for (const [key, element] of wanted[name]) {
      if (!sameElement(element, old?.get(key))) fresh.push(element)
    }
    changes.push(
      ...deleteElements(table, sets[name].name, gone),
      ...addElements(table, sets[name].name, fresh),
    )
  }
  return { changes, next: { elements: wanted, picks: new Set([...before, ...added]) } }
}

function sameElement(a: Element, b: Element | undefined): boolean {
  if (!b || a === b) return a === b
  if (a.data instanceof Uint8Array) {
    return b.data instanceof Uint8Array && Buffer.compare(a.data, b.data) === 0
  }
  return JSON.stringify(a.data) === JSON.stringify(b.data)
}
