import { describe, expect, it } from 'vitest'
import type { ContainerEvent } from '../../container/container.ts'
import { eventRoute } from './events.ts'
import type { Exchange } from './exchange.ts'

function exchange(query: Record<string, string>) {
  const written: { Action: string; id: string }[] = []
  const response = {
    destroyed: false,
    write: (text: string) => written.push(JSON.parse(text)),
    end: () => undefined,
  }
  const x = { query: new URLSearchParams(query), open: () => undefined, signal: new AbortController().signal }
  return { written, x: { ...x, response } as unknown as Exchange }
}

describe('events', () => {
  it('tells what was since a time, filtered, and ends at `until`', async () => {
    const listeners: ((event: ContainerEvent) => void)[] = []
    const route = eventRoute({ events: (listener) => listeners.push(listener) })
    const event = (action: string, id: string, time: number) =>
      ({ type: 'container', action, id, attributes: { name: id }, time }) as ContainerEvent
    for (const one of [event('start', 'a', 1000), event('start', 'b', 2000), event('die', 'a', 3000)])
      listeners[0]?.(one)
    const { written, x } = exchange({ since: '1.5', until: '4', filters: '{"container":["a"]}' })
    await route.answer(x)
    expect(written.map(({ Action, id }) => `${Action} ${id}`)).toEqual(['die a'])
    const none = exchange({ until: '4' })
    await route.answer(none.x)
    expect(none.written).toEqual([])
  })
})
