import { Command } from 'commander'
import { humanDuration } from '../../engine/client/docker/human.ts'
import type { ImageSummary } from '../../engine/client/docker/types.ts'
import { connect, filterQuery, list } from '../connect.ts'
import type { Output } from '../output.ts'
import { type Column, printListing } from '../rows.ts'
import { humanSize } from '../units.ts'

interface ImagesFlags {
  readonly host?: string
  readonly all?: true
  readonly quiet?: true
  readonly digests?: true
  readonly filter?: string[]
  readonly format?: string
  readonly trunc: boolean
}

/** One name of an image: docker lists an image once for each. */
export interface ImageRow {
  readonly image: ImageSummary
  readonly repository: string
  readonly tag: string
  readonly digest: string
}

export function command(output: Output): Command {
  return new Command('images')
    .description('List images')
    .argument('[repository]')
    .option('-a, --all', 'intermediate ones too')
    .option('-q, --quiet', 'only ids')
    .option('--digests', 'with digests')
    .option('-f, --filter <filter>', 'filter, KEY=VALUE (reference, label, dangling, before, since)', list)
    .option('--format <format>', "json, 'table TEMPLATE' or a Go template")
    .option('--no-trunc', 'print everything in full')
    .action(async (repository: string | undefined, flags: ImagesFlags) => {
      const filters = [
        ...(flags.filter ?? []),
        ...(repository === undefined ? [] : [`reference=${repository}`]),
      ]
      const images = await connect(flags, output).json<ImageSummary[]>('GET', '/images/json', {
        query: { all: flags.all, digests: flags.digests, filters: filterQuery(filters) },
      })
      const rows = images.flatMap((image) => imageRows(image, flags.digests === true))
      const shown = flags.digests
        ? ['Repository', 'Tag', 'Digest', 'ID', 'CreatedSince', 'Size']
        : ['Repository', 'Tag', 'ID', 'CreatedSince', 'Size']
      const columns = imageColumns({ full: !flags.trunc, now: Date.now() })
      printListing(rows, { columns, shown, format: flags.format, quiet: flags.quiet && 'ID' }, output)
    })
}

/** An image's names, each with the digest of the same repository; `<none>` where there is no tag. */
export function imageRows(image: ImageSummary, withDigests: boolean): ImageRow[] {
  const none = '<none>'
  const cut = (name: string, by: string): [string, string] => {
    const at = name.lastIndexOf(by)
    return [name.slice(0, at), name.slice(at + 1)]
  }
  const digests = new Map((image.RepoDigests ?? []).map((name) => cut(name, '@')))
  const tags = (image.RepoTags ?? []).filter((name) => name !== '<none>:<none>').map((name) => cut(name, ':'))
  const tagged = tags.map(([repository, tag]) => ({
    image,
    repository,
    tag,
    digest: (withDigests ? digests.get(repository) : undefined) ?? none,
  }))
  if (tagged.length > 0) return tagged
  if (digests.size === 0) return [{ image, repository: none, tag: none, digest: none }]
  return [...digests].map(([repository, digest]) => ({ image, repository, tag: none, digest }))
}

function imageColumns({ full, now }: { full: boolean; now: number }): Column<ImageRow>[] {
  return [
    {
      field: 'Containers',
      heading: 'CONTAINERS',
      of: ({ image }) => (image.Containers < 0 ? 'N/A' : String(image.Containers)),
    },
    {
      field: 'CreatedAt',
      heading: 'CREATED AT',
      of: ({ image }) =>
        `${new Date(image.Created * 1000).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`,
    },
    {
      field: 'CreatedSince',
      heading: 'CREATED',
      of: ({ image }) => (image.Created > 0 ? `${humanDuration(now - image.Created * 1000)} ago` : 'N/A'),
    },
    { field: 'Digest', heading: 'DIGEST', of: ({ digest }) => digest },
    {
      field: 'ID',
      heading: 'IMAGE ID',
      of: ({ image }) => (full ? image.Id : image.Id.replace(/^sha256:/, '').slice(0, 12)),
    },
    { field: 'Repository', heading: 'REPOSITORY', of: ({ repository }) => repository },
    { field: 'SharedSize', heading: 'SHARED SIZE', of: () => 'N/A' },
    { field: 'Size', heading: 'SIZE', of: ({ image }) => humanSize(image.Size) },
    { field: 'Tag', heading: 'TAG', of: ({ tag }) => tag },
    { field: 'UniqueSize', heading: 'UNIQUE SIZE', of: () => 'N/A' },
  ]
}
