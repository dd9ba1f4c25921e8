import { BerthError, isBerthError, messageOf } from '../../base/error.ts'
import type { Log } from '../../base/host/log.ts'
import { type HostPort, isAnyAddress, portsMeet } from '../ports.ts'
import { portOwner } from './port-owner.ts'

/** Binds ports of the host so that nobody else does: the keeper, which outlives the daemon. */
export interface PortHolder {
  /** Rejects with CONFLICT when another process has the port. Idempotent for a port that is held. */
  bind(port: { protocol: string; address: string; port: number }): Promise<void>
  /** Idempotent. */
  release(port: { protocol: string; address: string; port: number }): Promise<void>
}

/** Linux's own range for outgoing connections starts at 32768; ours is drawn above it, as docker's. */
const firstDrawn = 49153
const lastDrawn = 65535

/**
 * The ports of this host that belong to containers and services, and the sockets that hold them. A port is taken as
 * soon as it is claimed, before anything is waited for, so that two claims at once cannot both win.
 */
export class HostPorts {
  readonly #holder: PortHolder | undefined
  readonly #log: Log
  readonly #serviceOf: (port: HostPort) => string | undefined
  readonly #taken = new Set<HostPort>()
  #next = firstDrawn

  /** `serviceOf`: NAMESPACE/NAME of the service that has a port which meets this one. */
  constructor(options: {
    holder?: PortHolder
    log: Log
    serviceOf?: (port: HostPort) => string | undefined
  }) {
    this.#holder = options.holder
    this.#log = options.log
    this.#serviceOf = options.serviceOf ?? (() => undefined)
  }

  /** Takes the port (0: a free one), and gives it as taken. CONFLICT when a container, service or process has it. */
  async claim<T extends HostPort>(asked: T): Promise<T> {
    if (asked.hostPort !== 0) return this.#take(asked)
    for (let tries = lastDrawn - firstDrawn + 1; tries > 0; tries--) {
      const drawn = { ...asked, hostPort: this.#next }
      this.#next = this.#next === lastDrawn ? firstDrawn : this.#next + 1
      try {
        return await this.#take(drawn)
      } catch (error) {
        if (!isBerthError(error, 'CONFLICT')) throw error
      }
    }
    throw new BerthError('CONFLICT', 'Cannot publish a port: none of the host is free')
  }

  /** Takes what was taken before a restart; what another process has now is logged, for the containers run. */
  async restore(ports: readonly HostPort[]): Promise<void> {
    for (const port of ports) {
      this.#taken.add(port)
      await this.#holder?.bind(socketOf(port)).catch((error) => {
        this.#log('warn', `Cannot hold port ${port.hostPort} again`, { error: messageOf(error) })
      })
    }
  }

  /** Idempotent. */
  async release(ports: readonly HostPort[]): Promise<void> {
    await Promise.all(
      ports.map(async (port) => {
        const held = [...this.#taken].find((other) => isSamePort(other, port))
        if (!held) return
        this.#taken.delete(held)
        await this.#holder?.release(socketOf(held))
      }),
    )
  }

  /**
   * Throws CONFLICT for the first of these that could not be claimed now, naming who has it. Nothing is taken: it may
   * be another's by the time of the claim.
   */
  async check(ports: readonly HostPort[]): Promise<void> {
    for (const port of ports.filter(({ hostPort }) => hostPort !== 0)) {
      this.#refuseTaken(port)
      const owner = await portOwner(port)
      if (owner) throw inUse(port, owner)
    }
  }

  async #take<T extends HostPort>(port: T): Promise<T> {
    this.#refuseTaken(port)
    this.#taken.add(port)
    try {
      await this.#holder?.bind(socketOf(port))
    } catch (error) {
      this.#taken.delete(port)
      const owner = isBerthError(error, 'CONFLICT') ? await portOwner(port) : undefined
      throw owner ? inUse(port, owner) : error
    }
    return port
  }

  #refuseTaken(port: HostPort): void {
    if (![...this.#taken].some((other) => portsMeet(other, port))) return
    const service = this.#serviceOf(port)
    const owner = service === undefined ? 'a container or service' : `service "${service}"`
    throw new BerthError(
      'CONFLICT',
      `Cannot publish port ${port.hostPort}/${port.protocol}: ${owner} has it`,
      service === undefined
        ? { hint: 'berth ps, berth list and kubectl get services -A show who has which port' }
        : { hint: 'berth list or kubectl get services -A; choose another port', details: { service } },
    )
  }
}

function inUse(port: HostPort, owner: { pid: number; name: string }): BerthError {
  return new BerthError(
    'CONFLICT',
    `Cannot publish port ${port.hostPort}/${port.protocol}: process "${owner.name}" (PID ${owner.pid}) has it`,
    { hint: 'stop that process or choose another port', details: { ...owner, port: port.hostPort } },
  )
}

function isSamePort(a: HostPort, b: HostPort): boolean {
  return a.protocol === b.protocol && a.hostPort === b.hostPort && a.hostIp === b.hostIp
}

function socketOf(port: HostPort): { protocol: string; address: string; port: number } {
  const address = isAnyAddress(port.hostIp) ? '0.0.0.0' : port.hostIp
  return { protocol: port.protocol, address, port: port.hostPort }
}
