import { BerthError } from '../base/error.ts'

export interface HostsFile {
  readonly hostname: string
  readonly domainname?: string
  /** The container's own addresses; the first names it. */
  readonly addresses: readonly string[]
  /** `NAME:ADDRESS`. */
  readonly extra: readonly string[]
  /** What `host-gateway` stands for. */
  readonly gateway: string | undefined
}

const standard = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`

/** `/etc/hosts` as docker writes it. */
export function hostsFile({ hostname, domainname, addresses, extra, gateway }: HostsFile): string {
  const lines = extra.map((entry) => {
    const [name, address] = splitHost(entry)
    const real = address === 'host-gateway' ? gateway : address
    if (!real) {
      throw new BerthError(
        'INVALID',
        `Cannot add the host ${JSON.stringify(name)}: this network has no gateway`,
      )
    }
    return `${real}\t${name}\n`
  })
  const own = domainname ? `${hostname}.${domainname} ${hostname}` : hostname
  return standard + lines.join('') + addresses.map((address) => `${address}\t${own}\n`).join('')
}

/** `NAME:ADDRESS` or `NAME=ADDRESS`; an IPv6 address may stand in brackets. */
function splitHost(entry: string): [name: string, address: string] {
  const match = /^([^:=\s]+)[:=](\S+)$/.exec(entry)
  if (!match?.[1] || !match[2]) {
    throw new BerthError('INVALID', `Bad format for add-host: ${JSON.stringify(entry)}`, {
      hint: 'write NAME:ADDRESS',
    })
  }
  return [match[1], match[2].replace(/^\[(.*)\]$/, '$1')]
}

export interface Resolver {
  readonly servers: readonly string[]
  readonly search: readonly string[]
  readonly options: readonly string[]
}

/** `/etc/resolv.conf`. A search list of `.` is an empty one (resolv.conf(5)). */
export function resolvConf({ servers, search, options }: Resolver): string {
  const domains = search.filter((domain) => domain !== '.')
  return [
    ...servers.map((server) => `nameserver ${server}\n`),
    ...(domains.length > 0 ? [`search ${domains.join(' ')}\n`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}\n`] : []),
  ].join('')
}

/** What `--dns`, `--dns-search` and `--dns-option` say replaces the network's, each alone. */
export function mergeResolver(network: Resolver, asked: Resolver | undefined): Resolver {
  return {
    servers: asked?.servers.length ? asked.servers : network.servers,
    search: asked?.search.length ? asked.search : network.search,
    options: asked?.options.length ? asked.options : network.options,
  }
}
