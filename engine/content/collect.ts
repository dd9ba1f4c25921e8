/**
 * Everything that is reachable from the roots: white nodes become grey when they are first seen and black when
 * their references have been followed. `references` is asked once for each node.
 */
export function reachable<T>(roots: Iterable<T>, references: (node: T) => Iterable<T>): Set<T> {
  const seen = new Set<T>(roots)
  const grey = [...seen]
  for (let node = grey.pop(); node !== undefined; node = grey.pop()) {
    for (const next of references(node)) {
      if (seen.has(next)) continue
      seen.add(next)
      grey.push(next)
    }
  }
  return seen
}

/** Something that is on disk and may be collected. */
export interface Candidate {
  readonly key: string
  /** When it was last written, in ms. */
  readonly modified: number
}

/** Keeps a node and what it refers to until it expires; without an expiry, until it is given back. */
export interface Lease {
  readonly node: string
  readonly expires?: number
}

/**
 * The candidates to remove: neither reachable from a root or a living lease, nor younger than `graceMs`, in which an
 * operation that has not recorded its root yet may still need them.
 */
export function chooseGarbage(view: {
  readonly candidates: Iterable<Candidate>
  readonly roots: Iterable<string>
  readonly leases: Iterable<Lease>
  readonly references: (node: string) => Iterable<string>
  readonly now: number
  readonly graceMs: number
}): string[] {
  const held = [...view.leases]
    .filter((lease) => lease.expires === undefined || lease.expires > view.now)
    .map((lease) => lease.node)
  const living = reachable([...view.roots, ...held], view.references)
  return [...view.candidates]
    .filter((one) => !living.has(one.key) && view.now - one.modified >= view.graceMs)
    .map((one) => one.key)
}
