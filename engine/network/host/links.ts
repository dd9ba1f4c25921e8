import { isBerthError } from '../../base/error.ts'
import { relayTargetFd } from '../../runtime/host/relay.ts'
import type { Subnet } from '../address.ts'
import * as links from '../netlink/links.ts'
import { joinMessages } from '../netlink/wire.ts'
import type { Kernel } from './kernel.ts'

/** `lo` is the first link of every namespace. */
const loopbackIndex = 1

/** Interfaces, addresses and routes, made by netlink. Every call may be repeated. */
export class Links {
  readonly #relay: Kernel

  constructor(relay: Kernel) {
    this.#relay = relay
  }

  async list(): Promise<links.Link[]> {
    return (await this.#ask(links.dumpLinks(), { action: 'list links' })).map(links.decodeLink)
  }

  async find(name: string, netns?: string): Promise<links.Link | undefined> {
    const options = { action: `find link ${name}`, ...(netns === undefined ? {} : { netns }) }
    const [message] = await this.#ask(links.getLink(name), options).catch(unless('ENODEV'))
    return message ? links.decodeLink(message) : undefined
  }

  /** Subnets that the host has routes to, each with its link's index. */
  async routes(): Promise<{ to: Subnet; device: number }[]> {
    const messages = await this.#ask(links.dumpRoutes(), { action: 'list routes' })
    return messages.map(links.decodeRoute).filter((route) => route !== undefined)
  }

  /** The bridge with its address, up; gives its index. */
  async ensureBridge(bridge: {
    name: string
    mac: string
    mtu: number
    alias: string
    address: number
    prefixLength: number
  }): Promise<number> {
    await this.#ask(links.createBridge(bridge), { action: `create bridge ${bridge.name}` }).catch(
      unless('EEXIST'),
    )
    const link = await this.find(bridge.name)
    const index = link?.index ?? 0
    await this.#ask(
      joinMessages([
        links.addAddress(index, bridge.address, bridge.prefixLength),
        links.setUp({ name: bridge.name }, true),
      ]),
      { action: `set up bridge ${bridge.name}` },
    )
    return index
  }

  /**
   * Lets the host reach these addresses, so that its packets come to the firewall, which sends them on or refuses
   * them. Through `lo`: through the bridge, a pod's packet would leave where it came from, and be answered by an ICMP
   * redirect instead of the refusal.
   */
  async ensureRoute(to: Subnet, source: number): Promise<void> {
    const route = links.addRoute({ to, source, device: loopbackIndex })
    await this.#ask(route, { action: 'add the route of services' })
  }

  /** Idempotent. */
  async removeRoute(to: Subnet): Promise<void> {
    const route = links.deleteRoute({ to, device: loopbackIndex })
    await this.#ask(route, { action: 'remove the route of services' }).catch(unless('ESRCH'))
  }

  /** A veth between bridge and namespace, up on both ends, with address and routes. */
  async connect(end: {
    link: string
    alias: string
    bridge: number
    mtu: number
    netns: string
    interfaceName: string
    mac: string
    address: number
    prefixLength: number
    /** The default route, unless the namespace has one. */
    gateway: number | undefined
    /** Single addresses behind the gateway. */
    hosts: readonly { to: number; via: number }[]
  }): Promise<void> {
    const action = `connect ${end.interfaceName} of ${end.netns}`
    const pair = joinMessages([
      links.createVeth({
        name: end.link,
        mtu: end.mtu,
        alias: end.alias,
        master: end.bridge,
        peer: { name: end.interfaceName, mac: end.mac, netnsFd: relayTargetFd },
      }),
      links.setHairpin(end.link),
    ])
    const create = () => this.#ask(pair, { action, target: end.netns })
    try {
      await create()
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error
      /* Left by an attempt that was cut off: taken over if it leads to this namespace, else made anew. */
      const inside = await this.find(end.interfaceName, end.netns)
      if (inside?.mac !== end.mac) {
        await this.remove(end.link)
        await create()
      } else {
        await this.#ask(links.setHairpin(end.link), { action })
      }
    }
    const inside = await this.find(end.interfaceName, end.netns)
    const index = inside?.index ?? 0
    await this.#ask(
      joinMessages([
        links.addAddress(index, end.address, end.prefixLength),
        links.setUp({ index }),
        ...end.hosts.map(({ to, via }) =>
          links.addRoute({ to: { base: to, prefixLength: 32 }, via, device: index }),
        ),
      ]),
      { action, netns: end.netns },
    )
    if (end.gateway !== undefined) {
      const route = links.addRoute({ to: undefined, via: end.gateway, device: index }, { keep: true })
      await this.#ask(route, { action, netns: end.netns }).catch(unless('EEXIST'))
    }
  }

  /** Idempotent. Waits for the kernel (RCU, 15 to 30 ms) in a lane that nobody else waits for. */
  async remove(name: string): Promise<void> {
    await this.#ask(links.deleteLink(name), { action: `remove link ${name}`, background: true }).catch(
      unless('ENODEV'),
    )
  }

  #ask(
    message: Uint8Array,
    options: { action: string; netns?: string; target?: string; background?: boolean },
  ): Promise<Uint8Array[]> {
    return this.#relay.netlink(links.netlinkRoute, message, options)
  }
}

const isErrno = (error: unknown, name: string) => isBerthError(error) && error.details?.errno === name

/** Takes this errno for an empty answer. */
function unless(name: string): (error: unknown) => Uint8Array[] {
  return (error) => {
    if (isErrno(error, name)) return []
    throw error
  }
}
