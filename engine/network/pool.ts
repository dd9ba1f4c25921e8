import { type Subnet, sizeOf } from './address.ts'

/**
 * The next free address after `last`, going round: one that was given back is not given again before all others
 * were, so that old connections and caches do not meet a new owner. Nothing when the subnet is full.
 *
 *   10.0.0.0/29: .0 is the network, .1 the gateway (reserved), .2 to .6 are leased, .7 is the broadcast
 */
export function nextFree(
  subnet: Subnet,
  options: { readonly taken: ReadonlySet<number>; readonly last: number | undefined },
): number | undefined {
  const size = sizeOf(subnet)
  const start = options.last === undefined ? 0 : options.last - subnet.base
  for (let step = 1; step <= size; step++) {
    const offset = (start + step) % size
    if (offset === 0 || offset === size - 1) continue
    const address = subnet.base + offset
    if (!options.taken.has(address)) return address
  }
  return undefined
}

/** The first subnet of this prefix length inside `space` that overlaps none of `taken`. */
export function nextSubnet(
  space: Subnet,
  prefixLength: number,
  taken: readonly Subnet[],
): Subnet | undefined {
  const step = 2 ** (32 - prefixLength)
  const meets = (base: number) =>
    taken.some((other) => base < other.base + sizeOf(other) && other.base < base + step)
  for (let base = space.base; base + step <= space.base + sizeOf(space); base += step) {
    if (!meets(base)) return { base, prefixLength }
  }
  return undefined
}

/** A MAC made of the address: who gets an address again has the same one, so that no neighbour's cache is wrong. */
export function macOf(address: number): string {
  const bytes = [0x0a, 0xbe, address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255]
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':')
}
