import { Agent, request } from 'node:http'

/** Docker's API over kept-alive connections: the same requests, byte for byte, to berth and to dockerd. */
export class HttpSide implements Disposable {
  readonly #agent = new Agent({ keepAlive: true })
  readonly #socketPath: string

  constructor(socketPath: string) {
    this.#socketPath = socketPath
  }

  async call(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
    const text = body === undefined ? '' : JSON.stringify(body)
    const { status, answer } = await new Promise<{ status: number; answer: string }>((resolve, reject) => {
      const sent = request(
        {
          agent: this.#agent,
          socketPath: this.#socketPath,
          method,
          path: `/v1.41${path}`,
          headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
        },
        (response) => {
          let read = ''
          response.setEncoding('utf8')
          response.on('data', (piece: string) => {
            read += piece
          })
          response.on('end', () => resolve({ status: response.statusCode ?? 0, answer: read }))
          response.on('error', reject)
        },
      )
      sent.on('error', reject)
      sent.end(text)
    })
    if (status >= 400) throw new Error(`${method} ${path}: ${status} ${answer}`)
    return answer.startsWith('{') && !answer.trim().includes('\n') ? JSON.parse(answer) : {}
  }

  async pull(image: string): Promise<void> {
    const [name, tag = 'latest'] = image.split(':')
    await this.call('POST', `/images/create?fromImage=${name}&tag=${tag}`)
  }

  /** create + start. */
  async begin(command: readonly string[]): Promise<string> {
    const { Id } = await this.call('POST', '/containers/create', { Image: 'busybox', Cmd: command })
    await this.call('POST', `/containers/${Id}/start`)
    return String(Id)
  }

  /** create + start + exit + remove of `true`, networked: what `docker run --rm` asks for, without its client. */
  async cycle(): Promise<void> {
    const id = await this.begin(['true'])
    await this.call('POST', `/containers/${id}/wait`)
    await this.call('DELETE', `/containers/${id}`)
  }

  async remove(id: string): Promise<void> {
    await this.call('DELETE', `/containers/${id}?force=1`)
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }
}
