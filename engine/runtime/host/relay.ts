import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { BerthError } from '../../base/error.ts'
import type { Log } from '../../base/host/log.ts'
import { FlatWriter } from '../encode.ts'
import { failure } from './errno.ts'
import { RelayLane } from './relay-lane.ts'
import { messagesOf } from './relay-messages.ts'

/** Types of request; the layout of each is drawn in launcher/relay.c. */
const request = {
  netlink: 1,
  subscribe: 2,
  pin: 3,
  unpin: 4,
  mount: 5,
  overlay: 6,
  unmount: 7,
  sysctl: 8,
} as const

/** In a message (IFLA_NET_NS_FD): the relay's descriptor of the namespace that `target` names. */
export const relayTargetFd = 101

export interface NetlinkOptions {
  /** File of the network namespace to ask in; the host's when absent. */
  readonly netns?: string
  /** File of another namespace, open as `relayTargetFd` while the request runs. */
  readonly target?: string
  /** The kernel may wait long (a link goes): use the lane that nobody waits for. */
  readonly background?: boolean
  /** What is being done, for the error: "create link bv0123". */
  readonly action?: string
}

export interface NamespacePins {
  readonly net?: string
  readonly ipc?: string
  readonly uts?: string
}

/**
 * The system calls that Node cannot make, performed by processes of the launcher's role `relay`. Each lane is a
 * process that works in order; lanes do not wait for each other:
 *
 *   links  rtnetlink           rules   nf_tables, conntrack        mounts  pins, mounts, sysctls
 *   slow   what waits for RCU  watch   netlink events
 *
 * A lane starts with its first request and again after it died; requests that were under way then fail.
 */
export class Relay implements AsyncDisposable {
  readonly #lanes = new Map<string, RelayLane>()
  readonly #open: (name: string) => RelayLane

  private constructor(open: (name: string) => RelayLane) {
    this.#open = open
  }

  /** `netns`: the network namespace that counts as the host's; the caller's own when absent. */
  static async open(options: { launcher: string; log: Log; netns?: string }): Promise<Relay> {
    const relay = new Relay((name) => new RelayLane({ ...options, name }))
    await relay.#lane('mounts').ready()
    return relay
  }

  /**
   * Sends netlink messages (one datagram) and returns the messages of the answer without DONE and ACK. The first
   * error in the answer rejects with KERNEL, details `{ errno, call }`. A dump that changed meanwhile is asked again.
   */
  async netlink(protocol: number, message: Uint8Array, options: NetlinkOptions = {}): Promise<Uint8Array[]> {
    const lane = options.background ? 'slow' : protocol === 0 ? 'links' : 'rules'
    const fields = flat((w) => {
      w.u16(protocol)
      w.text(options.netns ?? '')
      w.text(options.target ?? '')
      w.bytes(message)
    })
    const action = options.action ?? 'talk to the kernel over netlink'
    for (let attempt = 0; ; attempt++) {
      const answer = messagesOf(await this.#request(lane, request.netlink, fields, action), action)
      if (!answer.interrupted || attempt === 4) return answer.messages
    }
  }

  /**
   * Calls `onEvent` with each datagram of a multicast group of the host's namespace, and with nothing when events
   * may have been lost (buffer full, relay restarted): then look at the whole. Gives what ends it.
   */
  async subscribe(
    protocol: number,
    group: number,
    onEvent: (messages: Uint8Array | undefined) => void,
  ): Promise<() => void> {
    const fields = flat((w) => {
      w.u16(protocol)
      w.u32(group)
    })
    return this.#lane('watch').subscribe(request.subscribe, fields, onEvent)
  }

  /**
   * Makes new namespaces and binds each to its file, whose folder is made (0700). `lo` is up. All or none; a file
   * that already holds a namespace is an error (EEXIST): unpin it first.
   */
  async pinNamespaces(
    pins: NamespacePins,
    options: { hostname?: string; sysctls?: Readonly<Record<string, string>> } = {},
  ): Promise<void> {
    requireOwn(pins, options)
    const paths = [pins.net, pins.ipc, pins.uts].filter((path) => path !== undefined)
    await Promise.all(paths.map((path) => mkdir(dirname(path), { recursive: true, mode: 0o700 })))
    const fields = flat((w) => {
      for (const text of [pins.net, pins.ipc, pins.uts, options.hostname]) w.text(text ?? '')
      w.list(Object.entries(options.sysctls ?? {}), ([name, value]) => {
        w.text(name)
        w.text(value)
      })
    })
    await this.#request('mounts', request.pin, fields, `make namespaces ${paths.join(', ')}`)
  }

  /** Lets go of a pinned namespace: unmounts the file and removes it. Idempotent. */
  async unpin(path: string): Promise<void> {
    const fields = flat((w) => w.text(path))
    await this.#request('slow', request.unpin, fields, `unpin namespace ${path}`)
  }

  /** `flags` are MS_* of mount(2). */
  async mount(mount: {
    source?: string
    target: string
    type?: string
    flags?: number
    options?: string
  }): Promise<void> {
    const fields = flat((w) => {
      w.u64(mount.flags ?? 0)
      for (const text of [mount.source, mount.target, mount.type, mount.options]) w.text(text ?? '')
    })
    await this.#request('mounts', request.mount, fields, `mount ${mount.target}`)
  }

  /** Mounts an overlay; `lower` (top first) is relative to `folder`, without `upper` it is read-only. */
  async mountOverlay(overlay: {
    folder: string
    lower: readonly string[]
    upper?: string
    work?: string
    target: string
  }): Promise<void> {
    const options = overlayOptions(overlay)
    const fields = flat((w) => {
      for (const text of [overlay.folder, overlay.target, options]) w.text(text)
    })
    await this.#request('mounts', request.overlay, fields, `mount overlay ${overlay.target}`)
  }

  /** Unmounts everything at `path`. Idempotent: not mounted or not there is success. */
  async unmount(path: string, options: { lazy?: boolean } = {}): Promise<void> {
    const fields = flat((w) => {
      w.u8(options.lazy ?? false)
      w.text(path)
    })
    await this.#request('mounts', request.unmount, fields, `unmount ${path}`)
  }

  /** Writes a sysctl (`net.ipv4.ip_forward`) as seen in a network namespace, the host's when none is given. */
  async sysctl(name: string, value: string, options: { netns?: string } = {}): Promise<void> {
    const fields = flat((w) => {
      for (const text of [options.netns ?? '', name, value]) w.text(text)
    })
    await this.#request('mounts', request.sysctl, fields, `set sysctl ${name} to ${JSON.stringify(value)}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#lanes.values()].map((lane) => lane[Symbol.asyncDispose]()))
  }

  async #request(lane: string, type: number, fields: Uint8Array, action: string): Promise<Uint8Array> {
    const answer = await this.#lane(lane).request(type, fields)
    if (answer.errno !== 0) {
      const step = new TextDecoder().decode(answer.payload)
      throw failure(action, { errno: answer.errno, call: step })
    }
    return answer.payload
  }

  #lane(name: string): RelayLane {
    let lane = this.#lanes.get(name)
    if (!lane) {
      lane = this.#open(name)
      this.#lanes.set(name, lane)
    }
    return lane
  }
}

function flat(write: (w: FlatWriter) => void): Uint8Array {
  const w = new FlatWriter()
  write(w)
  return w.finish()
}

/** The option string of an overlay. mount(2) silently cuts it at a page, so that a longer one is refused here. */
function overlayOptions(overlay: { lower: readonly string[]; upper?: string; work?: string }): string {
  const parts = [`lowerdir=${overlay.lower.map(escapePath).join(':')}`]
  if (overlay.upper !== undefined) parts.push(`upperdir=${escapePath(overlay.upper)}`)
  if (overlay.work !== undefined) parts.push(`workdir=${escapePath(overlay.work)}`)
  const options = parts.join(',')
  if (Buffer.byteLength(options) > 4095) {
    throw new BerthError(
      'UNSUPPORTED',
      `Cannot mount ${overlay.lower.length} layers: their options take ${Buffer.byteLength(options)} bytes and the kernel reads 4095`,
    )
  }
  return options
}

/** Overlay's own escapes: its options end at commas, its lower directories at colons. */
function escapePath(path: string): string {
  return path.replace(/[\\,:]/g, (c) => `\\${c}`)
}

/** What is set must be the new namespaces': a name or setting without a namespace of its own would be this machine's. */
function requireOwn(
  pins: NamespacePins,
  { hostname, sysctls = {} }: { hostname?: string; sysctls?: Readonly<Record<string, string>> },
): void {
  const foreign = Object.keys(sysctls).find((name) => !(name.startsWith('net.') ? pins.net : pins.ipc))
  if (hostname !== undefined && !pins.uts) {
    throw new BerthError('INVALID', `Cannot set the host name "${hostname}" without a namespace of its own`)
  }
  if (foreign !== undefined) {
    throw new BerthError('INVALID', `Cannot set "${foreign}" without a namespace of its own`)
  }
}
