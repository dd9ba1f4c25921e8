import type { IncomingMessage, ServerResponse } from 'node:http'
import { isIPv4 } from 'node:net'
import { statusOf } from '../api/status.ts'
import { BerthError } from '../base/error.ts'
import type { ListenAddress, TcpApi } from './tcp-api.ts'

/** On `berth.sock` only: it hands out the key of an administrator. */
export const kubeconfigPath = '/berth/v1/kubeconfig'

const bodyLimitBytes = 4096

/**
 * `POST`, with `{address, port}` or without a body: opens the TCP listener if there is none (there), and answers with a
 * kubeconfig.
 */
export async function answerKubeconfig(
  tcp: TcpApi,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    if (request.method !== 'POST') throw new BerthError('UNSUPPORTED', 'A kubeconfig is asked for with POST')
    send(response, 200, await tcp.kubeconfig(parseAddress(await read(request))))
  } catch (error) {
    const status = statusOf(error)
    send(response, status.code, status)
  }
}

function send(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(JSON.stringify(value))
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > bodyLimitBytes) throw new BerthError('INVALID', 'The request is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Loopback alone: who else may come in is not for a flag to say. */
function parseAddress(text: string): ListenAddress | undefined {
  if (text === '') return undefined
  let asked: Partial<ListenAddress> | null
  try {
    asked = JSON.parse(text)
  } catch (error) {
    throw new BerthError('INVALID', 'The request is not JSON', { cause: error })
  }
  const { address, port } = asked ?? {}
  const isLoopback =
    typeof address === 'string' && (address === '::1' || (isIPv4(address) && address.startsWith('127.')))
  if (!isLoopback) {
    throw new BerthError(
      'FORBIDDEN',
      `Cannot listen on ${JSON.stringify(address)}: only on loopback, such as 127.0.0.1`,
    )
  }
  if (!Number.isInteger(port) || (port as number) < 0 || (port as number) > 65535) {
    throw new BerthError('INVALID', `Cannot listen on port ${JSON.stringify(port)}: it should be 0 to 65535`)
  }
  return { address, port: port as number }
}
