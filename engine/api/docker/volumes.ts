import { BerthError } from '../../base/error.ts'
import { newId } from '../../base/host/id.ts'
import type { VolumeDetails } from '../../client/docker/types.ts'
import type { DockerEngine, VolumeView } from './engine.ts'
import { matchesName, parseFilters, passes, passesLabels } from './filters.ts'
import { checkVolumeName } from './mounts.ts'
import type { Route } from './router.ts'

interface CreateBody {
  readonly Name: string
  readonly Driver: string
  readonly DriverOpts: Readonly<Record<string, string>> | null
  readonly Labels: Readonly<Record<string, string>> | null
}

/** `/volumes/…`. */
export function volumeRoutes({ volumes, views }: DockerEngine): Route[] {
  const usersOf = (name: string) =>
    views.list().filter((c) => c.mounts.some((m) => m.kind === 'volume' && m.name === name))
  return [
    {
      method: 'GET',
      pattern: '/volumes',
      answer: (x) => {
        const filters = parseFilters(x.query.get('filters'), ['dangling', 'driver', 'label', 'name'])
        const found = volumes
          .list()
          .filter((v) => passes(filters, 'name', (value) => matchesName(value, v.name)))
          .filter(() => passes(filters, 'driver', (value) => value === 'local'))
          .filter((v) =>
            passes(
              filters,
              'dangling',
              (value) => (usersOf(v.name).length === 0) === /^(1|true)$/.test(value),
            ),
          )
          .filter((v) => passesLabels(filters, v.labels))
        x.json({ Volumes: found.map(volumeView), Warnings: null })
      },
    },
    {
      method: 'POST',
      pattern: '/volumes/create',
      answer: async (x) => {
        const body = await x.body<CreateBody>()
        if (body.Driver && body.Driver !== 'local') {
          throw new BerthError(
            'NOT_FOUND',
            `error looking up volume plugin ${body.Driver}: plugin "${body.Driver}" not found`,
          )
        }
        if (Object.keys(body.DriverOpts ?? {}).length > 0) {
          throw new BerthError('UNSUPPORTED', 'Options of the volume driver are not there yet')
        }
        const name = body.Name || newId()
        checkVolumeName(name)
        x.json(volumeView(await volumes.create(name, { labels: body.Labels ?? {} })), 201)
      },
    },
    {
      method: 'GET',
      pattern: '/volumes/:name',
      answer: (x) => {
        const name = x.parameters[0] ?? ''
        const volume = volumes.get(name)
        if (!volume) throw new BerthError('NOT_FOUND', `get ${name}: no such volume`)
        x.json(volumeView(volume))
      },
    },
    {
      method: 'DELETE',
      pattern: '/volumes/:name',
      answer: async (x) => {
        const name = x.parameters[0] ?? ''
        if (!volumes.get(name)) {
          if (x.flag('force')) return x.empty()
          throw new BerthError('NOT_FOUND', `get ${name}: no such volume`)
        }
        const users = usersOf(name)
        if (users.length > 0) {
          throw new BerthError(
            'CONFLICT',
            `remove ${name}: volume is in use - [${users.map((c) => c.id).join(', ')}]`,
            {
              hint: `berth rm ${users.map((c) => c.settings.name).join(' ')}`,
            },
          )
        }
        await volumes.remove(name)
        x.empty()
      },
    },
  ]
}

function volumeView(volume: VolumeView): VolumeDetails {
  return {
    CreatedAt: new Date(volume.created).toISOString().replace(/\.\d+Z$/, 'Z'),
    Driver: 'local',
    Labels: Object.keys(volume.labels).length > 0 ? volume.labels : null,
    Mountpoint: volume.folder,
    Name: volume.name,
    Options: null,
    Scope: 'local',
  }
}
