import type { ContainerEvent } from '../../container/container.ts'
import type { DockerEngine } from './engine.ts'
import type { Exchange } from './exchange.ts'
import { type Filters, parseFilters, passes } from './filters.ts'
import type { Route } from './router.ts'

const eventFilters = [
  'config',
  'container',
  'daemon',
  'event',
  'image',
  'label',
  'network',
  'node',
  'plugin',
  'scope',
  'secret',
  'service',
  'type',
  'volume',
]

/** How many events are kept for `since`, as many as dockerd keeps. */
const keptEvents = 256

/** `GET /events`: those since `since` that are still known, then what happens, until `until` or until the client leaves. */
export function eventRoute(streams: Pick<DockerEngine['streams'], 'events'>): Route {
  const recent: ContainerEvent[] = []
  streams.events((event) => {
    recent.push(event)
    if (recent.length > keptEvents) recent.shift()
  }, new AbortController().signal)
  return { method: 'GET', pattern: '/events', answer: (x) => answer(streams, recent, x) }
}

async function answer(
  streams: Pick<DockerEngine['streams'], 'events'>,
  recent: readonly ContainerEvent[],
  x: Exchange,
): Promise<void> {
  const filters = parseFilters(x.query.get('filters'), eventFilters)
  const [since, until] = ['since', 'until'].map((name) => {
    const text = x.query.get(name)
    return text ? Number(text) * 1000 : undefined
  })
  x.open('application/json')
  const send = (event: ContainerEvent) => {
    if (isWanted(event, filters) && !x.response.destroyed)
      x.response.write(`${JSON.stringify(eventView(event))}\n`)
  }
  if (since !== undefined) recent.filter(({ time }) => time >= since && time <= (until ?? time)).forEach(send)
  const end = new AbortController()
  streams.events(send, end.signal)
  await new Promise<void>((resolve) => {
    x.signal.addEventListener('abort', () => resolve(), { once: true })
    if (until !== undefined) setTimeout(resolve, Math.max(0, until - Date.now())).unref()
  })
  end.abort()
  x.response.end()
}

function isWanted(event: ContainerEvent, filters: Filters): boolean {
  const { image = '', name = '' } = event.attributes
  return (
    passes(filters, 'type', (v) => v === 'container') &&
    passes(filters, 'event', (v) => event.action === v || event.action.startsWith(`${v}:`)) &&
    passes(filters, 'container', (v) => event.id.startsWith(v) || name === v) &&
    passes(filters, 'image', (v) => image === v || image.replace(/:[^:/]+$/, '') === v) &&
    passes(filters, 'label', (v) => v.split('=', 1).some((key) => Object.hasOwn(event.attributes, key)))
  )
}

function eventView(event: ContainerEvent): object {
  return {
    status: event.action,
    id: event.id,
    from: event.attributes.image ?? '',
    Type: event.type,
    Action: event.action,
    Actor: { ID: event.id, Attributes: event.attributes },
    scope: 'local',
    time: Math.floor(event.time / 1000),
    timeNano: event.time * 1e6,
  }
}
