import { BerthError, messageOf } from '../../base/error.ts'
import type { Log } from '../../base/host/log.ts'
import { isAnyAddress, portsMeet } from '../ports.ts'
import type { PublishedPort } from '../types.ts'

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

/** The published ports of this host: which are taken, and the sockets that hold them. */
export class PublishedPorts {
  readonly #holder: PortHolder | undefined
  readonly #log: Log
  #next = firstDrawn

  constructor(options: { holder?: PortHolder; log: Log }) {
    this.#holder = options.holder
    this.#log = options.log
  }

  /**
   * Holds the ports, those of `before` that are not among them are let go. All or none. The result has a port where 0
   * was asked for.
   */
  async bind(
    asked: readonly PublishedPort[],
    known: { readonly before: readonly PublishedPort[]; readonly taken: readonly PublishedPort[] },
  ): Promise<PublishedPort[]> {
    const bound: PublishedPort[] = []
    const fresh: PublishedPort[] = []
    try {
      for (const port of asked) {
        const same = known.before.find((old) => isSame(old, port) && !bound.includes(old))
        const held = same ?? (await this.#hold(port, [...known.taken, ...bound]))
        if (!same) fresh.push(held)
        bound.push(held)
      }
    } catch (error) {
      await this.release(fresh)
      throw error
    }
    await this.release(known.before.filter((old) => !bound.includes(old)))
    return bound
  }

  /** Holds again what was published before a restart; what fails is logged, for the containers run. */
  async restore(ports: readonly PublishedPort[]): Promise<void> {
    for (const port of ports) {
      await this.#holder?.bind(socketOf(port)).catch((error) => {
        this.#log('warn', `Cannot hold port ${port.hostPort} again`, { error: messageOf(error) })
      })
    }
  }

  /** Idempotent. */
  async release(ports: readonly PublishedPort[]): Promise<void> {
    await Promise.all(ports.map((port) => this.#holder?.release(socketOf(port))))
  }

  async #hold(port: PublishedPort, taken: readonly PublishedPort[]): Promise<PublishedPort> {
    if (port.hostPort !== 0) {
      if (taken.some((other) => portsMeet(other, port))) {
        throw new BerthError(
          'CONFLICT',
          `Cannot publish port ${port.hostPort}/${port.protocol}: a container has it`,
          {
            hint: 'berth ps shows who publishes which port',
          },
        )
      }
      await this.#holder?.bind(socketOf(port))
      return port
    }
    for (let tries = lastDrawn - firstDrawn + 1; tries > 0; tries--) {
      const drawn = { ...port, hostPort: this.#next }
      this.#next = this.#next === lastDrawn ? firstDrawn : this.#next + 1
      if (taken.some((other) => portsMeet(other, drawn))) continue
      try {
        await this.#holder?.bind(socketOf(drawn))
        return drawn
      } catch (error) {
        if (!(error instanceof BerthError) || error.code !== 'CONFLICT') throw error
      }
    }
    throw new BerthError('CONFLICT', `Cannot publish port ${port.containerPort}: no port of the host is free`)
  }
}

function socketOf(port: PublishedPort): { protocol: string; address: string; port: number } {
  return {
    protocol: port.protocol,
    address: isAnyAddress(port.hostIp) ? '0.0.0.0' : port.hostIp,
    port: port.hostPort,
  }
}

function isSame(old: PublishedPort, asked: PublishedPort): boolean {
  return (
    old.hostIp === asked.hostIp &&
    (asked.hostPort === 0 || old.hostPort === asked.hostPort) &&
    old.containerPort === asked.containerPort &&
    old.protocol === asked.protocol &&
    old.address === asked.address
  )
}
