import { type Elements, keyOf } from './elements.ts'

/** A UDP port whose endpoints changed, and who may still answer on it. */
export interface ChangedPort {
  /** Of a service or one address of the host; nothing: of every address of the host. */
  readonly address: number | undefined
  readonly port: number
  /** Keys of `answererKey`. */
  readonly answerers: ReadonlySet<string>
}

const udp = 17

export const answererKey = (address: number, port: number): string => `${address}:${port}`

/**
 * UDP has no end of a connection: a client that goes on sending from one port would be tied to an endpoint that has
 * gone. These are the ports whose connections must be looked through after the change.
 */
export function changedUdpPorts(before: Elements, after: Elements): readonly ChangedPort[] {
  const changed: ChangedPort[] = []
  for (const [heads, picks] of [
    ['services', 'endpoints'],
    ['hostServices', 'hostEndpoints'],
  ] as const) {
    const skip = heads === 'services' ? 4 : 0
    const ports = [...before[heads].values(), ...after[heads].values()].filter(({ key }) => key[skip] === udp)
    if (ports.length === 0) continue
    const old = answerersOf(before, picks)
    const now = answerersOf(after, picks)
    for (const { key } of ports) {
      const view = new DataView(key.buffer, key.byteOffset, key.byteLength)
      const [was, is] = [old.get(keyOf(key)), now.get(keyOf(key))]
      if (sameSet(was, is)) continue
      now.set(keyOf(key), is ?? new Set())
      old.set(keyOf(key), is ?? new Set())
      changed.push({
        address: skip === 0 ? undefined : view.getUint32(0),
        port: view.getUint16(skip + 4),
        answerers: is ?? new Set(),
      })
    }
  }
  return changed
}

/** By the port's key: who answers there. */
function answerersOf(elements: Elements, picks: 'endpoints' | 'hostEndpoints'): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>()
  for (const { key, data } of elements[picks].values()) {
    if (!(data instanceof Uint8Array)) continue
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
    const port = keyOf(key.subarray(0, key.length - 4))
    found.set(port, (found.get(port) ?? new Set()).add(answererKey(view.getUint32(0), view.getUint16(4))))
  }
  return found
}

function sameSet(a: ReadonlySet<string> = new Set(), b: ReadonlySet<string> = new Set()): boolean {
  return a.size === b.size && [...a].every((item) => b.has(item))
}
