/** A steady load of HTTP requests, new and kept-alive connections, that counts what fails and when. */
import { Agent, get } from 'node:http'

export interface LoadFailure {
  /** Milliseconds since 1970: when the request was begun, and when it failed. */
  readonly begun: number
  readonly failed: number
  readonly reason: string
}

export interface LoadReport {
  readonly requests: number
  readonly perSecond: number
  readonly failures: readonly LoadFailure[]
  /** Values of the response header `x-version` and how often each was seen. */
  readonly versions: Readonly<Record<string, number>>
}

export interface Load {
  /** Stops beginning requests, waits for those in flight. */
  stop(): Promise<LoadReport>
  /** Failures so far. */
  failures(): readonly LoadFailure[]
}

/**
 * Begins `perSecond` requests a second in turn to each of `urls`, every second one on a new connection, the others on
 * kept-alive connections as browsers and proxies use them. Each request may take at most `timeoutMs`.
 */
export function startLoad(urls: readonly string[], options: { perSecond: number; timeoutMs: number }): Load {
  const keepAlive = new Agent({ keepAlive: true, maxSockets: 16 })
  const started = Date.now()
  const failures: LoadFailure[] = []
  const versions: Record<string, number> = {}
  const inFlight = new Set<Promise<void>>()
  let begunCount = 0

  const begin = (): void => {
    const due = Math.floor(((Date.now() - started) * options.perSecond) / 1000)
    while (begunCount < due) {
      const index = begunCount++
      const url = urls[Math.floor(index / 2) % urls.length] ?? ''
      const request = one(url, index % 2 === 0 ? keepAlive : false, options.timeoutMs).then(
        (version) => {
          versions[version] = (versions[version] ?? 0) + 1
        },
        (failure: LoadFailure) => {
          failures.push(failure)
        },
      )
      inFlight.add(request)
      void request.finally(() => inFlight.delete(request))
    }
  }
  const timer = setInterval(begin, 5)

  return {
    failures: () => failures,
    async stop() {
      clearInterval(timer)
      const seconds = (Date.now() - started) / 1000
      await Promise.all(inFlight)
      keepAlive.destroy()
      return { requests: begunCount, perSecond: begunCount / seconds, failures, versions }
    },
  }
}

/**
 * One GET; gives the response's `x-version`. A kept-alive connection that the server closed before the request
 * reached it is tried once more on another one, as every HTTP client does (RFC 9112, section 9.3.1): that is no failure.
 */
function one(
  url: string,
  agent: Agent | false,
  timeoutMs: number,
  begun = Date.now(),
  retried = false,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string) => reject({ begun, failed: Date.now(), reason } satisfies LoadFailure)
    const request = get(url, { agent, timeout: timeoutMs }, (response) => {
      response.on('error', (error) => fail(error.message))
      response.on('end', () => {
        if (response.statusCode === 200) resolve(String(response.headers['x-version'] ?? ''))
        else fail(`HTTP ${response.statusCode}`)
      })
      response.resume()
    })
    request.on('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)))
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (request.reusedSocket && !retried && ['ECONNRESET', 'EPIPE'].includes(error.code ?? '')) {
        resolve(one(url, agent, timeoutMs, begun, true))
      } else fail(error.message)
    })
  })
}
