/** A network: a bridge with a subnet. Recorded before its bridge is made, removed after it went. */
export interface NetworkRecord {
  /** 64 hex digits. */
  readonly id: string
  readonly name: string
  readonly bridge: string
  readonly subnet: string
  readonly gateway: string
  /** No way out and none in: only its own containers reach each other. */
  readonly internal: boolean
  readonly labels: Readonly<Record<string, string>>
  /** Milliseconds since 1970. */
  readonly created: number
}

/** An address that a sandbox holds on a network, by the endpoint's id. Recorded before the link counts as attached. */
export interface Lease {
  /** The same for the same sandbox and network: 64 hex digits. */
  readonly endpointId: string
  readonly network: string
  readonly sandboxId: string
  readonly address: string
  readonly mac: string
  /** Name of the end in the bridge: `bv` and 12 digits of the endpoint. */
  readonly link: string
  readonly netns: string
  readonly interfaceName: string
  readonly hostname: string
  readonly aliases: readonly string[]
  readonly ports: readonly PublishedPort[]
}

export type Protocol = 'tcp' | 'udp' | 'sctp'

export interface PublishedPort {
  /** Empty or 0.0.0.0: every address of the host. */
  readonly hostIp: string
  /** 0 asks for a free one. */
  readonly hostPort: number
  readonly containerPort: number
  readonly protocol: Protocol
  /** The container's. */
  readonly address: string
}

/** What `attach` gives back. */
export interface Endpoint {
  readonly endpointId: string
  readonly address: string
  readonly prefixLength: number
  readonly gateway: string
  readonly mac: string
}

/** One port of a Service: where it is reached and who answers. */
export interface ServiceAddress {
  /** NAMESPACE/NAME, for who asks who has a port of the host. */
  readonly name?: string
  /** The ClusterIP; absent for a port of the host only. */
  readonly address?: string
  readonly port: number
  readonly protocol: Protocol
  /** The same endpoints on this port of all of the host's addresses (LoadBalancer, NodePort). */
  readonly hostPort?: number
  /** Ready ones only: who drains keeps the connections that it has. None: connections are refused. */
  readonly endpoints: readonly { readonly address: string; readonly port: number }[]
  /** A client's address finds the same endpoint as long as they do not change. */
  readonly sticky?: boolean
}
