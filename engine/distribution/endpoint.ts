/** How a registry host is spoken to; the daemon's configuration `registries: {HOST: …}` and helm's flags. */
export interface HostSettings {
  /** URLs that are asked first, for pulls only. */
  readonly mirrors?: readonly string[]
  /** Certificates are not verified, and plain HTTP is tried when TLS fails. */
  readonly insecure?: boolean
  /** Plain HTTP only. */
  readonly plainHttp?: boolean
  /** File (PEM) with the certificate authority that signed the registry's certificate. */
  readonly ca?: string
}

/** One place that a request may be sent to. */
export interface Endpoint {
  /** The registry whose credentials belong here: a mirror's own host. */
  readonly registry: string
  /** Without the scheme: `registry-1.docker.io`, `127.0.0.1:5000/prefix`. */
  readonly authority: string
  /** `try` is TLS first, then plain HTTP, as docker does for registries on loopback and insecure ones. */
  readonly plain: 'never' | 'try' | 'only'
  readonly verifyTls: boolean
  readonly ca?: string
  readonly mirror: boolean
}

/** Whether a registry lies on this machine, so that plain HTTP is no danger: 127.0.0.0/8, localhost, ::1. */
export function isLoopback(registry: string): boolean {
  const host = registry.replace(/:\d+$/, '')
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}

/** The places to ask for a registry's content, in order. Only the last one, the registry itself, is written to. */
export function endpointsOf(registry: string, hosts: Readonly<Record<string, HostSettings>>): Endpoint[] {
  const settings = hosts[registry] ?? hosts['*'] ?? {}
  const own = endpoint(
    registry,
    registry === 'docker.io' ? 'registry-1.docker.io' : registry,
    settings,
    false,
  )
  const mirrors = (settings.mirrors ?? []).map((mirror) => {
    const url = new URL(mirror)
    const authority = `${url.host}${url.pathname.replace(/\/+$/, '')}`
    const plain = url.protocol === 'http:' ? { plainHttp: true } : {}
    return endpoint(url.host, authority, { ...hosts[url.host], ...plain }, true)
  })
  return [...mirrors, own]
}

function endpoint(registry: string, authority: string, settings: HostSettings, mirror: boolean): Endpoint {
  const trusted = isLoopback(registry) || settings.insecure === true
  return {
    registry,
    authority,
    plain: settings.plainHttp ? 'only' : trusted ? 'try' : 'never',
    verifyTls: !trusted || settings.ca !== undefined,
    ...(settings.ca === undefined ? {} : { ca: settings.ca }),
    mirror,
  }
}
