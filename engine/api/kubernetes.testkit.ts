import { kinds } from '../object/kinds.ts'
import { ObjectStore } from '../store/objects.ts'
import { createKubernetesApi } from './http.ts'

export interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: headers of many shapes
  readonly headers: Readonly<Record<string, any>>
  // biome-ignore lint/suspicious/noExplicitAny: answers of many shapes
  readonly body: any
}

export interface TestApi {
  readonly objects: ObjectStore
  /** Sends a request and reads the whole answer. */
  call(method: string, url: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
}

/** The API over a store in memory, at the beginning of 2026, with one namespace. */
export async function openTestApi(): Promise<TestApi> {
  const clock = { now: () => Date.parse('2026-01-01T00:00:00Z') }
  const objects = new ObjectStore({ clock })
  await objects.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } })
  const { serve } = createKubernetesApi({
    ...{ objects, kinds, clock, version: '0.0.0', serviceSubnet: '10.211.0.0/16' },
    log: () => undefined,
  })
  return {
    objects,
    async call(method, url, body, headers = {}) {
      const [path = '', query = ''] = url.split('?')
      const text = typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body)
      const answer = await serve({
        ...{ method, path, headers },
        query: new URLSearchParams(query),
        body: Buffer.from(text),
        signal: new AbortController().signal,
      })
      const whole = await textOf(answer.body)
      return { ...answer, body: whole.startsWith('{') ? JSON.parse(whole) : whole }
    },
  }
}

async function textOf(body: string | AsyncIterable<string | Uint8Array>): Promise<string> {
  if (typeof body === 'string') return body
  let text = ''
  for await (const piece of body) text += piece
  return text
}
