import { BerthError } from '../../base/error.ts'
import { suggest } from '../../base/suggest.ts'
import type { ImageSummary } from '../../client/docker/types.ts'
import type { DockerEngine, ImageView, PullRequest, PullStep } from './engine.ts'
import { answerOfError } from './errors.ts'
import type { Exchange } from './exchange.ts'
import { parseFilters, passes, passesLabels } from './filters.ts'
import type { Route } from './router.ts'

/** `/images/…`. */
export function imageRoutes({ images }: DockerEngine): Route[] {
  const find = (ref: string): ImageView => {
    const image = images.get(ref)
    if (image) return image
    const names = images.list().flatMap((i) => i.names.map(familiar))
    const near = suggest(withTag(ref), names)
    throw new BerthError(
      'NOT_FOUND',
      `No such image: ${withTag(ref)}`,
      near ? { hint: `did you mean "${near}"?` } : {},
    )
  }
  return [
    {
      method: 'GET',
      pattern: '/images/json',
      answer: (x) => {
        const filters = parseFilters(x.query.get('filters'), [
          'before',
          'dangling',
          'label',
          'reference',
          'since',
          'until',
        ])
        const created = (ref: string | undefined) =>
          ref === undefined ? undefined : Date.parse(find(ref).created)
        const [before, since] = [created(filters.get('before')?.[0]), created(filters.get('since')?.[0])]
        const rows = images
          .list()
          .filter((i) => passes(filters, 'dangling', (v) => (i.names.length === 0) === /^(1|true)$/.test(v)))
          .filter((i) =>
            passes(filters, 'reference', (v) => i.names.some((name) => matchesReference(v, familiar(name)))),
          )
          .filter((i) => before === undefined || Date.parse(i.created) < before)
          .filter((i) => since === undefined || Date.parse(i.created) > since)
          .filter((i) => passesLabels(filters, labelsOf(i)))
          .map((i) => imageSummary(i, x))
        x.json(rows.sort((a, b) => b.Created - a.Created))
      },
    },
    { method: 'POST', pattern: '/images/create', answer: (x) => pull(images.pull.bind(images), x) },
    {
      method: 'GET',
      pattern: '/images/:name*/json',
      answer: (x) => x.json(imageDetails(find(x.parameters[0] ?? ''))),
    },
    {
      method: 'POST',
      pattern: '/images/:name*/tag',
      answer: async (x) => {
        const image = find(x.parameters[0] ?? '')
        const [repo, tag] = [x.query.get('repo') ?? '', x.query.get('tag') || 'latest']
        await images.tag(image.id, `${repo}:${tag}`)
        x.empty(201)
      },
    },
    {
      method: 'DELETE',
      pattern: '/images/:name*',
      answer: async (x) => {
        const ref = x.parameters[0] ?? ''
        find(ref)
        const removed = await images.remove(ref, { force: x.flag('force') })
        x.json(
          removed.map((r) =>
            r.deleted ? { Deleted: r.deleted } : { Untagged: r.untagged && familiar(r.untagged) },
          ),
        )
      },
    },
    {
      method: 'GET',
      pattern: '/images/:name*/history',
      answer: (x) => {
        const image = find(x.parameters[0] ?? '')
        x.json([
          {
            Id: image.id,
            Created: seconds(image.created),
            CreatedBy: '',
            Tags: image.names.map(familiar),
            Size: image.sizeBytes,
            Comment: '',
          },
        ])
      },
    },
  ]
}

/** A reference with the tag that it means. */
export const withTag = (ref: string) => (/:[^/]+$|@/.test(ref) ? ref : `${ref}:latest`)

const seconds = (date: string) => Math.max(0, Math.floor(Date.parse(date) / 1000) || 0)

/** `docker.io/library/redis:7` as people write it: `redis:7`. */
function familiar(name: string): string {
  return name.replace(/^docker\.io\/(library\/)?/, '')
}

function labelsOf({ config }: ImageView): Record<string, string> {
  return (config.Labels as Record<string, string> | null | undefined) ?? {}
}

function imageSummary(image: ImageView, x: Exchange): ImageSummary {
  const size = image.sizeBytes
  return {
    Id: image.id,
    ParentId: '',
    RepoTags: image.names.map(familiar),
    RepoDigests: image.digests.map(familiar),
    Created: seconds(image.created),
    Size: size,
    // Gone from API 1.44 on.
    ...(!x.speaks(44) && { VirtualSize: size }),
    SharedSize: -1,
    Labels: Object.keys(labelsOf(image)).length > 0 ? labelsOf(image) : null,
    Containers: -1,
  }
}

function imageDetails(image: ImageView): object {
  const config = {
    Hostname: '',
    Domainname: '',
    User: '',
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: null,
    Cmd: null,
    Image: '',
    Volumes: null,
    WorkingDir: '',
    Entrypoint: null,
    OnBuild: null,
    Labels: null,
    ...image.config,
  }
  return {
    Id: image.id,
    RepoTags: image.names.map(familiar),
    RepoDigests: image.digests.map(familiar),
    Parent: '',
    Comment: '',
    Created: image.created,
    DockerVersion: '',
    Author: image.author,
    Config: config,
    Architecture: image.architecture,
    Os: image.os,
    Size: image.sizeBytes,
    VirtualSize: image.sizeBytes,
    GraphDriver: { Data: null, Name: 'overlay2' },
    RootFS: { Type: 'layers', Layers: image.diffIds },
    Metadata: { LastTagTime: '0001-01-01T00:00:00Z' },
  }
}

/** Docker's `reference` filter: a shell pattern over name or name:tag. */
function matchesReference(pattern: string, name: string): boolean {
  const expression = new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replace(/\*/g, '[^/]*')
      .replace(/\?/g, '[^/]')}$`,
  )
  return expression.test(name) || expression.test(name.replace(/:[^:/]+$/, ''))
}

/**
 * The progress of a pull, one JSON object a line. An error before the first line is an HTTP status, after it a line
 * with `errorDetail`: that is how docker's clients tell them apart.
 */
async function pull(start: (request: PullRequest) => Promise<void>, x: Exchange): Promise<void> {
  const name = x.query.get('fromImage') ?? ''
  const tag = x.query.get('tag') ?? ''
  if (name === '') throw new BerthError('UNSUPPORTED', 'Import of an image is not there yet')
  const reference = tag === '' ? name : tag.includes(':') ? `${name}@${tag}` : `${name}:${tag}`
  let opened = false
  const line = (value: object) => {
    if (!opened) x.open('application/json')
    opened = true
    if (!x.response.destroyed) x.response.write(`${JSON.stringify(value)}\r\n`)
  }
  const auth = parseAuth(x.request.headers['x-registry-auth'])
  try {
    await start({
      reference,
      signal: x.signal,
      onStep: (step) => line(progressLine(step)),
      ...(auth && { auth }),
      ...(x.query.get('platform') && { platform: x.query.get('platform') ?? '' }),
    })
    if (!opened) line({ status: `Status: Image is up to date for ${familiar(reference)}` })
    x.response.end()
  } catch (error) {
    if (!opened) throw error
    const { body } = answerOfError(error)
    line({
      errorDetail: { message: body.message },
      error: body.message,
      ...(body.hint !== undefined && { hint: body.hint }),
    })
    x.response.end()
  }
}

function progressLine({ status, id, current, total }: PullStep): object {
  const detail = current === undefined ? {} : { current, ...(total !== undefined && { total }) }
  return { status, ...(id !== undefined && { progressDetail: detail, id }) }
}

function parseAuth(header: string | string[] | undefined): PullRequest['auth'] {
  if (typeof header !== 'string' || header === '') return undefined
  try {
    const {
      username = '',
      password = '',
      identitytoken,
    } = JSON.parse(Buffer.from(header, 'base64url').toString())
    if (username === '' && password === '' && !identitytoken) return undefined
    return { username, password, ...(identitytoken && { identitytoken }) }
  } catch (error) {
    throw new BerthError('INVALID', 'Cannot read the X-Registry-Auth header', { cause: error })
  }
}
