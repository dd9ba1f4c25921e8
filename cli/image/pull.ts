import { Command } from 'commander'
import { isBerthError } from '../../engine/base/error.ts'
import type { DockerClient } from '../../engine/client/docker/docker.ts'
import type { PullProgress } from '../../engine/client/docker/types.ts'
import type { PullChartOptions } from '../chart/pull.ts'
import { connect } from '../connect.ts'
import type { Output } from '../output.ts'
import { registryAuth } from './credentials.ts'
import { showProgress } from './progress.ts'
import { canonical, splitReference } from './reference.ts'

interface PullOptions {
  readonly platform?: string | undefined
  readonly quiet?: boolean | undefined
  readonly stream: NodeJS.WritableStream & { isTTY?: boolean; columns?: number }
}

/** Pulls an image through the daemon and shows the progress. */
export async function pullImage(client: DockerClient, image: string, options: PullOptions): Promise<void> {
  const { name, tag } = splitReference(image)
  const auth = await registryAuth(name)
  const lines = client.lines<PullProgress>('POST', '/images/create', {
    query: { fromImage: name, tag, platform: options.platform },
    headers: auth === undefined ? {} : { 'X-Registry-Auth': auth },
  })
  await showProgress(lines, options.stream, { quiet: options.quiet ?? false })
}

interface PullCommandOptions extends PullChartOptions {
  readonly host?: string
  readonly quiet?: true
  readonly platform?: string
}

export function command(output: Output): Command {
  return new Command('pull')
    .description('Pull an image, or with oci:// a chart, from a registry')
    .argument('<image>')
    .option('-q, --quiet', 'only print the name at the end')
    .option('--platform <platform>', 'platform of the image, linux/amd64')
    .option('--version <version>', 'version of a chart')
    .option('-d, --destination <folder>', 'where to write a chart')
    .option('--untar', 'unpack a chart')
    .option('--untardir <folder>', 'where to unpack a chart, below the destination')
    .option('--username <name>', 'for the registry of a chart')
    .option('--password <text>', 'for the registry of a chart')
    .option('--plain-http', 'speak HTTP to the registry of a chart')
    .action(async (image: string, options: PullCommandOptions) => {
      if (image.startsWith('oci://')) {
        const { pullChartTo } = await import('../chart/pull.ts')
        await pullChartTo(image, options, output)
        return
      }
      const reference = splitReference(image)
      if (reference.tag === 'latest' && !options.quiet && !/:latest$/.test(image))
        output.line('Using default tag: latest')
      try {
        await pullImage(connect(options, output), image, { ...options, stream: output.streams.stdout })
        output.line(canonical(reference))
      } catch (error) {
        output.fail(error, isBerthError(error, 'INTERRUPTED') ? undefined : 1)
      }
    })
}
