import { createConnection, type Socket } from 'node:net'
import { BerthError, messageOf } from '../../base/error.ts'

/** Connects to a Unix socket of the launcher's. Rejects with `UNAVAILABLE` when nobody listens. */
export async function connectTo(path: string, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted()
  const socket = createConnection({ path })
  const abort = () => socket.destroy(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return socket
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw new BerthError('UNAVAILABLE', `Cannot connect to "${path}": ${messageOf(error)}`, { cause: error })
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
