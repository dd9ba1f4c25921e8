import { formatIpv4, parseIpv4 } from './address.ts'

/** A container's or pod's names on one network. */
export interface NamedEndpoint {
  readonly network: string
  readonly sandboxId: string
  readonly address: string
  /** Container name, aliases, short id; any case. */
  readonly names: readonly string[]
}

/** A Service as DNS sees it. */
export interface NamedService {
  readonly namespace: string
  readonly name: string
  /** The ClusterIP; none: headless, its hosts answer. */
  readonly address?: string
  /** Another name that stands for it (ExternalName). */
  readonly externalName?: string
  readonly ports: readonly { readonly name: string; readonly port: number; readonly protocol: string }[]
  /** Ready endpoints; `hostname` gives a pod its own name below the service's. */
  readonly hosts: readonly { readonly address: string; readonly hostname?: string }[]
}

/** A pod, so that a bare service name is looked for in its own namespace. */
export interface NamedPod {
  readonly address: string
  readonly namespace: string
}

/**
 * Who is called what. Names are compared without case. An asker is known by its address: it sees the containers of
 * the networks that its sandbox is on.
 */
export class NameTable {
  readonly domain: string
  readonly #endpoints = new Map<string, NamedEndpoint>()
  readonly #byAddress = new Map<string, NamedEndpoint>()
  readonly #networksOf = new Map<string, Set<string>>()
  readonly #byName = new Map<string, NamedEndpoint[]>()
  #services = new Map<string, NamedService>()
  #namespaces = new Set<string>()
  #serviceByAddress = new Map<string, NamedService>()
  #namespaceOf = new Map<string, string>()

  constructor(domain: string) {
    this.domain = domain.toLowerCase()
  }

  setEndpoint(endpoint: NamedEndpoint): void {
    this.removeEndpoint(endpoint.network, endpoint.sandboxId)
    this.#endpoints.set(keyOf(endpoint.network, endpoint.sandboxId), endpoint)
    this.#byAddress.set(endpoint.address, endpoint)
    const networks = this.#networksOf.get(endpoint.sandboxId) ?? new Set()
    this.#networksOf.set(endpoint.sandboxId, networks.add(endpoint.network))
    for (const name of namesOf(endpoint)) {
      const key = keyOf(endpoint.network, name)
      this.#byName.set(key, [...(this.#byName.get(key) ?? []), endpoint])
    }
  }

  /** Idempotent. */
  removeEndpoint(network: string, sandboxId: string): void {
    const endpoint = this.#endpoints.get(keyOf(network, sandboxId))
    if (!endpoint) return
    this.#endpoints.delete(keyOf(network, sandboxId))
    if (this.#byAddress.get(endpoint.address) === endpoint) this.#byAddress.delete(endpoint.address)
    const networks = this.#networksOf.get(sandboxId)
    networks?.delete(network)
    if (networks?.size === 0) this.#networksOf.delete(sandboxId)
    for (const name of namesOf(endpoint)) {
      const key = keyOf(network, name)
      const left = (this.#byName.get(key) ?? []).filter((other) => other !== endpoint)
      if (left.length > 0) this.#byName.set(key, left)
      else this.#byName.delete(key)
    }
  }

  /** All services there are, and the pods that may ask for them; replaces those of before. */
  setServices(services: readonly NamedService[], pods: readonly NamedPod[] = []): void {
    this.#services = new Map(services.map((s) => [keyOf(lower(s.namespace), lower(s.name)), s]))
    this.#namespaces = new Set(services.map((s) => lower(s.namespace)))
    this.#serviceByAddress = new Map()
    for (const service of services) {
      if (service.address !== undefined) this.#serviceByAddress.set(service.address, service)
    }
    for (const service of services.filter((s) => s.address === undefined)) {
      for (const host of service.hosts) this.#serviceByAddress.set(host.address, service)
    }
    this.#namespaceOf = new Map(pods.map((pod) => [pod.address, lower(pod.namespace)]))
  }

  /** Addresses of the containers of this name that the asker may see. */
  containers(asker: string, name: string): readonly string[] {
    const me = this.#byAddress.get(asker)
    const networks = me ? (this.#networksOf.get(me.sandboxId) ?? []) : []
    const found = [...networks].flatMap((network) => this.#byName.get(keyOf(network, lower(name))) ?? [])
    return [...new Set(found.map((endpoint) => endpoint.address))]
  }

  service(namespace: string, name: string): NamedService | undefined {
    return this.#services.get(keyOf(lower(namespace), lower(name)))
  }

  hasNamespace(namespace: string): boolean {
    return this.#namespaces.has(lower(namespace))
  }

  /** The namespace in which the asker's bare service names are looked for. */
  namespaceOf(asker: string): string {
    return this.#namespaceOf.get(asker) ?? 'default'
  }

  /** The names of an address, for reverse lookups, most precise first; without the final dot. */
  namesOf(asker: string, address: string): readonly string[] {
    const service = this.#serviceByAddress.get(address)
    if (service) {
      const full = `${service.name}.${service.namespace}.svc.${this.domain}`
      if (service.address === address) return [full]
      const host = service.hosts.find((other) => other.address === address)
      return [`${host?.hostname ?? dashed(address)}.${full}`]
    }
    const endpoint = this.#byAddress.get(address)
    const me = this.#byAddress.get(asker)
    const seen = endpoint && me && this.#networksOf.get(me.sandboxId)?.has(endpoint.network)
    return seen && endpoint.names[0] ? [`${endpoint.names[0]}.${endpoint.network}`] : []
  }
}

/** `10.210.0.5` → `10-210-0-5`, as Kubernetes names an endpoint without a hostname. */
export function dashed(address: string): string {
  return formatIpv4(parseIpv4(address)).replaceAll('.', '-')
}

/** `web`, and `web.front` on network "front". */
function namesOf(endpoint: NamedEndpoint): ReadonlySet<string> {
  const names = endpoint.names.map(lower)
  return new Set([...names, ...names.map((name) => `${name}.${lower(endpoint.network)}`)])
}

const lower = (name: string) => name.toLowerCase()
const keyOf = (first: string, second: string) => `${first}\0${second}`
