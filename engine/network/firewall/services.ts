import { contains, type Subnet } from '../address.ts'
import { type Elements, emptyElements } from './elements.ts'
import { setNames } from './sets.ts'

const heads = [
  ['services', 'endpoints'],
  ['hostServices', 'hostEndpoints'],
] as const
const indexDigits = 8

/**
 * The services in what was found in the kernel: addresses of the services' subnet, and ports of the host that are not
 * containers' (`recorded`).
 */
export function servicesOf(found: Elements, recorded: Elements, services: Subnet): Elements {
  const kept = emptyElements()
  for (const [head, picks] of heads) {
    for (const [key, element] of found[head]) {
      const address = new DataView(element.key.buffer, element.key.byteOffset).getUint32(0)
      const own = head === 'hostServices' || contains(services, address)
      if (own && !recorded[head].has(key)) kept[head].set(key, element)
    }
    for (const [pick, element] of found[picks]) {
      if (kept[head].has(pick.slice(0, -indexDigits))) kept[picks].set(pick, element)
    }
  }
  return kept
}

/** The policy's elements and those of services; where both have a port, the policy's stay. */
export function withServices(policy: Elements, services: Elements): Elements {
  const all = emptyElements()
  for (const name of setNames) {
    for (const [key, element] of policy[name]) all[name].set(key, element)
  }
  for (const [head, picks] of heads) {
    for (const [key, element] of services[head]) {
      if (!policy[head].has(key)) all[head].set(key, element)
    }
    for (const [pick, element] of services[picks]) {
      if (!policy[head].has(pick.slice(0, -indexDigits))) all[picks].set(pick, element)
    }
  }
  return all
}
