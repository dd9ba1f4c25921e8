import { request as httpRequest } from 'node:http'
import { connect as http2Connect } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import { messageOf } from '../../base/error.ts'
import type { Container, Pod, Probe } from '../../object/types.generated.ts'
import type { ContainerEngine } from '../ports.ts'

export interface ProbeTarget {
  readonly pod: Pod
  readonly container: Container
  readonly containerId: string
  /** Of the pod, or of the host for a pod on its network. */
  readonly address: string
}

export interface ProbeOutcome {
  readonly good: boolean
  /** Why not, for the event. */
  readonly message: string
}

type Handler = Pick<Probe, 'exec' | 'httpGet' | 'tcpSocket' | 'grpc'>

/** How much of a command's output goes into an event. */
const outputLimit = 1024

/** Tries a probe or a hook once, for at most `timeoutMs`. Never rejects: what goes wrong is the outcome. */
export async function tryHandler(
  handler: Handler,
  target: ProbeTarget,
  options: { readonly engine: ContainerEngine; readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<ProbeOutcome> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutMs)])
  try {
    if (handler.exec) return await tryExec(handler.exec.command ?? [], target, options.engine, signal)
    if (handler.httpGet) return await tryHttp(handler.httpGet, target, signal)
    if (handler.tcpSocket) {
      const { host, port } = handler.tcpSocket
      return await tryTcp(host || target.address, portOf(port, target.container), signal)
    }
    if (handler.grpc) return await tryGrpc(target.address, handler.grpc, signal)
    return { good: true, message: '' }
  } catch (error) {
    const late = signal.aborted ? `command timed out after ${options.timeoutMs / 1000}s: ` : ''
    return { good: false, message: `${late}${messageOf(error)}` }
  }
}

/** A port by number, or by the name that the container gives it. */
function portOf(port: number | string, container: Container): number {
  if (typeof port === 'number') return port
  const named = container.ports?.find((one) => one.name === port)?.containerPort
  if (named === undefined && !/^\d+$/.test(port)) throw new Error(`couldn't find port: ${port}`)
  return named ?? Number(port)
}

async function tryExec(
  argv: readonly string[],
  target: ProbeTarget,
  engine: ContainerEngine,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const session = await engine.exec(target.containerId, { argv, terminal: false, stdin: false }, signal)
  const kill = () => void session.signal(9).catch(() => undefined)
  signal.addEventListener('abort', kill, { once: true })
  let output = ''
  const collect = (chunk: Buffer) => {
    if (output.length < outputLimit) output += chunk.toString('utf8')
  }
  session.stdout.on('data', collect)
  session.stderr.on('data', collect)
  try {
    const { code } = await session.exited
    signal.throwIfAborted()
    return { good: code === 0, message: output.slice(0, outputLimit) }
  } finally {
    signal.removeEventListener('abort', kill)
    session.close()
  }
}

function tryHttp(
  action: NonNullable<Probe['httpGet']>,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const host = action.host || target.address
  const port = portOf(action.port, target.container)
  const headers = Object.fromEntries((action.httpHeaders ?? []).map(({ name, value }) => [name, value]))
  const tls = action.scheme === 'HTTPS'
  const options = {
    host,
    port,
    path: action.path || '/',
    headers: { 'User-Agent': 'kube-probe/1.35', Accept: '*/*', Connection: 'close', ...headers },
    signal,
    agent: false as const,
    // A probe asks whether the server answers, not who it is.
    rejectUnauthorized: false,
  }
  return new Promise((resolve, reject) => {
    const request = (tls ? httpsRequest : httpRequest)(options, (response) => {
      response.resume()
      const status = response.statusCode ?? 0
      resolve({
        good: status >= 200 && status < 400,
        message: `HTTP probe failed with statuscode: ${status}`,
      })
    })
    request.on('error', (error) =>
      reject(
        new Error(`Get "${tls ? 'https' : 'http'}://${host}:${port}${options.path}": ${messageOf(error)}`),
      ),
    )
    request.end()
  })
}

function tryTcp(host: string, port: number, signal: AbortSignal): Promise<ProbeOutcome> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal }, () => {
      socket.destroy()
      resolve({ good: true, message: '' })
    })
    socket.on('error', (error) => reject(new Error(`dial tcp ${host}:${port}: ${messageOf(error)}`)))
  })
}

/**
 * grpc.health.v1.Health/Check. The request is one message with field 1 = service; the answer's field 1 is the status, 1 = SERVING. Each
 * message has a head of five bytes: not compressed, length.
 */
function tryGrpc(
  host: string,
  { port, service = '' }: NonNullable<Probe['grpc']>,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const name = Buffer.from(service)
  const message =
    name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name])
  const head = Buffer.from([0, 0, 0, 0, message.length])
  return new Promise((resolve, reject) => {
    const session = http2Connect(`http://${host}:${port}`)
    const end = (error: unknown) => {
      session.destroy()
      reject(error)
    }
    session.on('error', end)
    signal.addEventListener('abort', () => end(signal.reason), { once: true })
    const call = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    const chunks: Buffer[] = []
    call.on('data', (chunk: Buffer) => chunks.push(chunk))
    call.on('error', end)
    call.on('end', () => {
      session.close()
      const answer = Buffer.concat(chunks).subarray(5)
      resolve({
        good: answer[0] === 0x08 && answer[1] === 1,
        message: `service unhealthy (responded with "${answer[1] ?? 'nothing'}")`,
      })
    })
    call.end(Buffer.concat([head, message]))
  })
}
