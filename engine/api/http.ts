import type { IncomingMessage, ServerResponse } from 'node:http'
import { BerthError } from '../base/error.ts'
import { bodyLimitBytes } from './body.ts'
import { type ApiRequest, type ApiResponse, jsonResponse } from './message.ts'
import { type KubernetesApiOptions, type Serve, serveKubernetes } from './serve.ts'
import { failure } from './status.ts'
import { type Upgrade, upgradeKubernetes } from './upgrade.ts'
import { Writes } from './writes.ts'

export interface KubernetesApi {
  /** For `node:http`: answers every request, never throws. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void
  /** For `upgrade` of `node:http`: exec and attach. */
  readonly upgrade: Upgrade
  /** The same without HTTP, for clients in this process. */
  readonly serve: Serve
  /** The way into the store that requests take, for the daemon's own writers. */
  readonly writes: Writes
}

/** The Kubernetes API as a handler of `node:http`. */
export function createKubernetesApi(options: KubernetesApiOptions): KubernetesApi {
  const writes = new Writes(options)
  const serve = serveKubernetes(options, writes)
  return {
    serve,
    writes,
    upgrade: upgradeKubernetes(options),
    handle: (request, response) => {
      answer(serve, request, response).catch((error: unknown) => {
        // The client is gone, or what it was sent could not be finished: it must not look finished.
        options.log('debug', 'a response was cut', { path: request.url, error: String(error) })
        response.destroy()
      })
    },
  }
}

async function answer(serve: Serve, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const asked = await readRequest(request, gone.signal)
  await send(response, asked === undefined ? tooLarge : await serve(asked))
}

const tooLarge = jsonResponse(
  413,
  failure({
    code: 413,
    reason: 'RequestEntityTooLarge',
    message: `Request entity too large: limit is ${bodyLimitBytes}`,
  }),
  { connection: 'close' },
)

/** A body that is too large is read to its end, unless it is larger than this: only then is the answer surely read. */
const discardLimitBytes = 8 * bodyLimitBytes

/** The request with its whole body, undefined when that is too large. */
async function readRequest(request: IncomingMessage, signal: AbortSignal): Promise<ApiRequest | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > discardLimitBytes) return undefined
    if (size > bodyLimitBytes) chunks.length = 0
    else chunks.push(chunk)
  }
  if (size > bodyLimitBytes) return undefined
  const url = request.url ?? '/'
  const mark = url.indexOf('?')
  return {
    method: request.method ?? 'GET',
    path: mark < 0 ? url : url.slice(0, mark),
    query: new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1)),
    headers: request.headers as Readonly<Record<string, string | undefined>>,
    body: Buffer.concat(chunks),
    signal,
  }
}

async function send(response: ServerResponse, { status, headers, body }: ApiResponse): Promise<void> {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value as string | string[])
  response.setHeader('cache-control', 'no-cache, private')
  response.statusCode = status
  if (typeof body === 'string') {
    response.end(body)
    return
  }
  response.flushHeaders()
  for await (const piece of body) {
    if (response.destroyed) return
    if (!response.write(piece)) await drained(response)
  }
  response.end()
}

/** Waits until the client took what was written; rejects when it left. */
async function drained(response: ServerResponse): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const leave = () => {
      response.off('drain', resolve)
      reject(new BerthError('INTERRUPTED', 'The client left'))
    }
    response.once('close', leave)
    response.once('drain', () => {
      response.off('close', leave)
      resolve()
    })
  })
}
