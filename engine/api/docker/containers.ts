import { BerthError } from '../../base/error.ts'
import type { ContainerCreate } from '../../client/docker/types.ts'
import type { ContainerRecord, WaitCondition } from '../../container/container.ts'
import { containerDetails, containerSummary } from './container-view.ts'
import type { DockerEngine } from './engine.ts'
import type { ExecTable } from './exec-table.ts'
import { matchesName, parseFilters, passes, passesLabels } from './filters.ts'
import { withTag } from './images.ts'
import { refuseOfPod } from './pods.ts'
import type { Route } from './router.ts'
import { containerSettings, withImagePorts } from './settings.ts'
import { parseSignal } from './signals.ts'
import { statsView } from './stats-view.ts'

const filterKeys = [
  'ancestor',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'is-task',
  'isolation',
  'label',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
]

/** `/containers/…` but for streams (attach, logs) and exec. */
export function containerRoutes(engine: DockerEngine, execs: ExecTable): Route[] {
  const { life, views, streams, networks, images, facts } = engine
  const idOf = (ref: string) => views.inspect(ref).id
  const networkIds = () => {
    const ids = new Map(networks.list().map((n) => [n.name, n.id]))
    return (name: string) => ids.get(name) ?? ''
  }
  /** The name asked for, unless it is another image's by now: then the id, as with docker. */
  const imageName = (record: ContainerRecord) =>
    images.get(record.settings.image)?.id === record.imageId ? record.settings.image : record.imageId

  return [
    {
      method: 'GET',
      pattern: '/containers/json',
      answer: (x) => {
        const filters = parseFilters(x.query.get('filters'), filterKeys)
        const limit = x.number('limit') ?? -1
        const all =
          x.flag('all') || limit > 0 || ['status', 'exited', 'before', 'since'].some((k) => filters.has(k))
        const at = (ref: string | undefined) => (ref === undefined ? undefined : views.inspect(ref).created)
        const [before, since] = [at(filters.get('before')?.[0]), at(filters.get('since')?.[0])]
        const found = [...views.list()]
          .sort((a, b) => b.created - a.created)
          .filter(
            (c) =>
              all ||
              c.state.status === 'running' ||
              c.state.status === 'paused' ||
              c.state.status === 'restarting',
          )
          .filter((c) => before === undefined || c.created < before)
          .filter((c) => since === undefined || c.created > since)
          .filter((c) => passes(filters, 'status', (v) => c.state.status === v))
          .filter((c) =>
            passes(filters, 'exited', (v) => c.state.status === 'exited' && c.state.exitCode === Number(v)),
          )
          .filter((c) => passes(filters, 'id', (v) => matchesName(`^${v}`, c.id)))
          .filter((c) =>
            passes(
              filters,
              'name',
              (v) => matchesName(v, c.settings.name) || matchesName(v, `/${c.settings.name}`),
            ),
          )
          .filter((c) =>
            passes(filters, 'ancestor', (v) => c.settings.image === v || images.get(v)?.id === c.imageId),
          )
          .filter((c) => passes(filters, 'network', (v) => onNetwork(c, v, networkIds())))
          .filter((c) =>
            passes(filters, 'volume', (v) =>
              c.mounts.some((m) => m.name === v || m.target === v || m.source === v),
            ),
          )
          .filter((c) =>
            passes(filters, 'publish', (v) => c.ports.some((p) => portMatches(v, p.hostPort, p.protocol))),
          )
          .filter((c) =>
            passes(filters, 'expose', (v) =>
              c.process.exposedPorts.some((p) => p === (v.includes('/') ? v : `${v}/tcp`)),
            ),
          )
          .filter((c) => passesLabels(filters, c.process.labels))
        const ids = networkIds()
        const now = Date.now()
        const rows = (limit > 0 ? found.slice(0, limit) : found).map((c) =>
          containerSummary(c, { now, networkIds: ids, imageName: imageName(c) }),
        )
        x.json(rows)
      },
    },
    {
      method: 'POST',
      pattern: '/containers/create',
      answer: async (x) => {
        const name = (x.query.get('name') ?? '').replace(/^\//, '')
        const body = await x.body<ContainerCreate>()
        const exposing = withImagePorts(body, body.Image ? images.get(body.Image)?.config : undefined)
        const settings = containerSettings(name, exposing, engine.logs)
        // berth's own client asks for this before it pulls; docker's finds out at the start.
        if (x.flag('checkPorts')) await engine.checkPorts(settings.ports)
        if (!settings.imageId && !engine.images.get(settings.image))
          throw new BerthError('NOT_FOUND', `No such image: ${withTag(settings.image)}`, {
            hint: `berth pull ${settings.image}`,
          })
        const record = await life.create(settings, x.signal)
        x.json({ Id: record.id, Warnings: [] }, 201)
      },
    },
    {
      method: 'GET',
      pattern: '/containers/:id/json',
      answer: (x) => {
        const record = views.inspect(x.parameters[0] ?? '')
        const folder = `${facts.root}/containers/${record.id}`
        x.json(
          containerDetails(record, { networkIds: networkIds(), folder, execIds: execs.runningIn(record.id) }),
        )
      },
    },
    {
      method: 'GET',
      pattern: '/containers/:id/plan',
      answer: async (x) => x.json({ Lines: await views.explain(x.parameters[0] ?? '') }),
    },
    {
      method: 'POST',
      pattern: '/containers/:id/start',
      answer: async (x) => {
        const record = views.inspect(x.parameters[0] ?? '')
        if (record.state.status === 'running') return x.empty(304)
        await life.start(record.id, x.signal)
        x.empty()
      },
    },
    {
      method: 'POST',
      pattern: '/containers/:id/stop',
      answer: async (x) => {
        const record = views.inspect(x.parameters[0] ?? '')
        if (!['running', 'paused', 'restarting'].includes(record.state.status)) return x.empty(304)
        await life.stop(record.id, stopOptions(x.number('t'), x.query.get('signal')), x.signal)
        x.empty()
      },
    },
    {
      method: 'POST',
      pattern: '/containers/:id/restart',
      answer: async (x) => {
        await life.restart(
          idOf(x.parameters[0] ?? ''),
          stopOptions(x.number('t'), x.query.get('signal')),
          x.signal,
        )
        x.empty()
      },
    },
    {
      method: 'POST',
      pattern: '/containers/:id/kill',
      answer: async (x) => {
        const ref = x.parameters[0] ?? ''
        const record = views.inspect(ref)
        const signo = parseSignal(x.query.get('signal') || 'SIGKILL')
        if (record.state.status !== 'running' && record.state.status !== 'paused') {
          throw new BerthError(
            'CONFLICT',
            `Cannot kill container: ${ref}: Container ${record.id} is not running`,
          )
        }
        await life.kill(record.id, signo)
        x.empty()
      },
    },
    {
      method: 'POST',
      pattern: '/containers/:id/rename',
      answer: async (x) => {
        const name = x.query.get('name')
        if (!name) throw new BerthError('INVALID', 'Neither old nor new names may be empty')
        await life.rename(idOf(x.parameters[0] ?? ''), name.replace(/^\//, ''))
        x.empty()
      },
    },
    {
      method: 'POST',
      pattern: '/containers/:id/resize',
      answer: async (x) => {
        const { id, state } = views.inspect(x.parameters[0] ?? '')
        if (state.status !== 'running') throw new BerthError('CONFLICT', `Container ${id} is not running`)
        await streams.resize(id, x.number('h') ?? 0, x.number('w') ?? 0)
        x.empty(200)
      },
    },
    {
      method: 'POST',
      pattern: '/containers/:id/wait',
      answer: async (x) => {
        const condition = x.query.get('condition') || 'not-running'
        if (condition !== 'not-running' && condition !== 'next-exit' && condition !== 'removed') {
          throw new BerthError('INVALID', `invalid condition: "${condition}"`)
        }
        const done = streams.wait(idOf(x.parameters[0] ?? ''), condition satisfies WaitCondition, x.signal)
        // The head goes out at once: the client starts the container when it has it, and misses no exit.
        x.open('application/json')
        const { exitCode } = await done
        x.response.end(`${JSON.stringify({ StatusCode: exitCode })}\n`)
      },
    },
    {
      method: 'DELETE',
      pattern: '/containers/:id',
      answer: async (x) => {
        const record = views.inspect(x.parameters[0] ?? '')
        const { id } = record
        refuseOfPod(record)
        await life.remove(id, { force: x.flag('force'), volumes: x.flag('v') })
        execs.forget(id)
        x.empty()
      },
    },
    {
      method: 'GET',
      pattern: '/containers/:id/top',
      answer: async (x) => {
        const { titles, rows } = await views.top(idOf(x.parameters[0] ?? ''))
        x.json({ Titles: titles, Processes: rows })
      },
    },
    {
      method: 'GET',
      pattern: '/containers/:id/stats',
      answer: async (x) => {
        const { id, settings } = views.inspect(x.parameters[0] ?? '')
        const once = x.query.get('stream') !== null && !x.flag('stream')
        let previous = await views.stats(id)
        if (!once) x.open('application/json')
        for (;;) {
          if (!x.flag('one-shot')) await pause(1000, x.signal)
          const current = await views.stats(id)
          const view = statsView(previous, current, { id, name: settings.name, cpus: facts.cpus })
          if (once) return x.json(view)
          await x.write(`${JSON.stringify(view)}\n`)
          previous = current
        }
      },
    },
  ]
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer)
        reject(signal.reason)
      },
      { once: true },
    )
  })
}

function stopOptions(seconds: number | undefined, signal: string | null) {
  return {
    ...(seconds !== undefined && { timeoutSeconds: seconds }),
    ...(signal && { signo: parseSignal(signal) }),
  }
}

function onNetwork(record: ContainerRecord, value: string, ids: (name: string) => string): boolean {
  const names = [
    record.settings.networkMode,
    ...record.settings.networks.map((n) => n.name),
    ...Object.keys(record.networks),
  ]
  return names.some((name) => name === value || (ids(name) !== '' && ids(name).startsWith(value)))
}

function portMatches(value: string, port: number, protocol: string): boolean {
  const match = /^(\d+)(?:-(\d+))?(?:\/(\w+))?$/.exec(value)
  if (!match) return false
  return port >= Number(match[1]) && port <= Number(match[2] ?? match[1]) && protocol === (match[3] ?? 'tcp')
}
