import type { NetlinkOptions } from '../../runtime/host/relay.ts'

/** What networks ask of the kernel; `Relay` is it. */
export interface Kernel {
  /** Sends messages as one datagram; gives the answer's messages, rejects with its first error (KERNEL, errno). */
  netlink(protocol: number, message: Uint8Array, options?: NetlinkOptions): Promise<Uint8Array[]>
  /** Events of a multicast group; nothing when some may have been lost. Gives what ends it. */
  subscribe(
    protocol: number,
    group: number,
    onEvent: (messages: Uint8Array | undefined) => void,
  ): Promise<() => void>
  /** Writes a sysctl of the host's network namespace. */
  sysctl(name: string, value: string): Promise<void>
}
