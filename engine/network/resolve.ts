import type { Answer } from 'dns-packet'
import { isIpv4 } from './address.ts'
import { dashed, type NamedService, type NameTable } from './names.ts'

/** Short: a container's or pod's address may be another's soon. */
export const ttlSeconds = 2

export interface Question {
  /** Without the final dot, in any case. */
  readonly name: string
  readonly type: string
}

export type Resolution =
  | {
      readonly kind: 'records'
      readonly answers: readonly Answer[]
      readonly additionals?: readonly Answer[]
    }
  /** The name exists, without a record of this type: NOERROR and no answer. */
  | { readonly kind: 'empty' }
  /** NXDOMAIN. */
  | { readonly kind: 'missing' }
  /** Another name stands for it. */
  | { readonly kind: 'alias'; readonly to: string }
  /** Not berth's to say. */
  | { readonly kind: 'forward' }

const empty: Resolution = { kind: 'empty' }
const missing: Resolution = { kind: 'missing' }

export interface ResolveContext {
  readonly names: NameTable
  /** Address of who asks. */
  readonly asker: string
  /** Whether an address is of berth's networks or services: its reverse name is berth's to say. */
  readonly isLocal: (address: string) => boolean
  /** Several addresses are given beginning with another each time. */
  readonly turn: number
}

/**
 * What berth says about a name. Containers' names come before short service names; everything below the cluster's
 * domain and the reverse names of berth's addresses are berth's alone and never asked upstream.
 */
export function resolve(question: Question, context: ResolveContext): Resolution {
  const name = question.name.toLowerCase().replace(/\.$/, '')
  const { names, asker } = context
  if (name.endsWith('.in-addr.arpa')) return reverse(name, question, context)
  if (name === names.domain) return empty
  if (name.endsWith(`.${names.domain}`)) {
    return inCluster(name.slice(0, -names.domain.length - 1).split('.'), question, context)
  }
  const containers = names.containers(asker, name)
  if (containers.length > 0) return addresses(containers, question, context)
  const labels = name.split('.')
  if (labels.length >= 3 && labels.at(-1) === 'svc') {
    const found = inCluster(labels, question, context)
    return found.kind === 'missing' ? { kind: 'forward' } : found
  }
  const [first = '', second = names.namespaceOf(asker)] = labels
  const service = labels.length <= 2 ? names.service(second, first) : undefined
  return service ? serviceAddresses(service, question, context) : { kind: 'forward' }
}

/** Names below the domain: https://github.com/kubernetes/dns/blob/master/docs/specification.md */
function inCluster(labels: readonly string[], question: Question, context: ResolveContext): Resolution {
  const { names } = context
  const kind = labels.at(-1)
  const namespace = labels.at(-2)
  if (kind === 'pod') return pod(labels.slice(0, -2), question, context)
  if (kind !== 'svc') return missing
  if (namespace === undefined) return empty
  const name = labels.at(-3)
  if (name === undefined) return names.hasNamespace(namespace) ? empty : missing
  const service = names.service(namespace, name)
  if (!service) return missing
  const below = labels.slice(0, -3)
  if (below.length === 0) return serviceAddresses(service, question, context)
  if (below.at(-1)?.startsWith('_')) return servicePorts(service, below, { question, context })
  const host = service.hosts.find(({ address, hostname }) => below.join('.') === hostLabel(address, hostname))
  return host && service.address === undefined ? addresses([host.address], question, context) : missing
}

/** `10-210-0-5.NAMESPACE.pod` */
function pod(below: readonly string[], question: Question, context: ResolveContext): Resolution {
  const address = below.join('.').replaceAll('-', '.')
  if (below.length === 0) return empty
  return isIpv4(address) && context.isLocal(address) ? addresses([address], question, context) : missing
}

function serviceAddresses(service: NamedService, question: Question, context: ResolveContext): Resolution {
  if (service.externalName !== undefined) return { kind: 'alias', to: service.externalName }
  if (service.address !== undefined) return addresses([service.address], question, context)
  const hosts = service.hosts.map((host) => host.address)
  return hosts.length > 0 ? addresses(hosts, question, context) : missing
}

/** `_PORT._PROTOCOL.SERVICE…`: where each endpoint is found. */
function servicePorts(
  service: NamedService,
  below: readonly string[],
  { question, context }: { question: Question; context: ResolveContext },
): Resolution {
  const protocol = below.at(-1)?.slice(1)
  const port = below.at(-2)?.slice(1)
  const ofProtocol = service.ports.filter((entry) => entry.protocol.toLowerCase() === protocol)
  if (below.length === 1) return ofProtocol.length > 0 ? empty : missing
  const found = ofProtocol.find((entry) => entry.name.toLowerCase() === port)
  if (!found || below.length > 2 || !below[0]?.startsWith('_')) return missing
  if (question.type !== 'SRV' && question.type !== 'ANY') return empty
  const full = `${service.name}.${service.namespace}.svc.${context.names.domain}`
  const targets =
    service.address !== undefined
      ? [{ target: full, address: service.address }]
      : service.hosts.map(({ address, hostname }) => ({
          target: `${hostLabel(address, hostname)}.${full}`,
          address,
        }))
  if (targets.length === 0) return missing
  return {
    kind: 'records',
    answers: targets.map(({ target }) => ({
      type: 'SRV',
      name: question.name,
      ttl: ttlSeconds,
      data: { priority: 0, weight: 100, port: found.port, target },
    })),
    additionals: targets.map(({ target, address }) => ({
      type: 'A',
      name: target,
      ttl: ttlSeconds,
      data: address,
    })),
  }
}

function addresses(list: readonly string[], question: Question, context: ResolveContext): Resolution {
  if (question.type !== 'A' && question.type !== 'ANY') return empty
  const start = context.turn % list.length
  return {
    kind: 'records',
    answers: [...list.slice(start), ...list.slice(0, start)].map((data) => ({
      type: 'A',
      name: question.name,
      ttl: ttlSeconds,
      data,
    })),
  }
}

/** `5.0.210.10.in-addr.arpa` */
function reverse(name: string, question: Question, context: ResolveContext): Resolution {
  const address = name.slice(0, -'.in-addr.arpa'.length).split('.').reverse().join('.')
  if (!isIpv4(address) || !context.isLocal(address)) return { kind: 'forward' }
  const found = context.names.namesOf(context.asker, address)
  if (found.length === 0) return missing
  if (question.type !== 'PTR' && question.type !== 'ANY') return empty
  return {
    kind: 'records',
    answers: found.map((data) => ({ type: 'PTR', name: question.name, ttl: ttlSeconds, data })),
  }
}

const hostLabel = (address: string, hostname: string | undefined) =>
  (hostname ?? dashed(address)).toLowerCase()
