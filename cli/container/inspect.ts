import { Command } from 'commander'
import { BerthError, isBerthError } from '../../engine/base/error.ts'
import type { DockerClient } from '../../engine/client/docker/docker.ts'
import { connect, forEach } from '../connect.ts'
import { inspectAll, noSuchObject } from '../inspection.ts'
import type { Output } from '../output.ts'

/** Where each kind of object is found, in docker's order. */
const kinds: Readonly<Record<string, (name: string) => string>> = {
  container: (name) => `/containers/${encodeURIComponent(name)}/json`,
  image: (name) => `/images/${name}/json`,
  network: (name) => `/networks/${encodeURIComponent(name)}`,
  volume: (name) => `/volumes/${encodeURIComponent(name)}`,
}

interface InspectFlags {
  readonly host?: string
  readonly format?: string
  readonly type?: string
  readonly plan?: true
}

export function command(output: Output): Command {
  return new Command('inspect')
    .description('Print all that is known of containers, images, networks or volumes')
    .argument('<name...>')
    .option('-f, --format <format>', "json or a Go template, '{{.State.Status}}'")
    .option('--type <kind>', 'look for this kind only: container, image, network, volume')
    .option('--plan', "print a container's launch plan: one line a system call, with its reason")
    .action(async (names: string[], flags: InspectFlags) => {
      const client = connect(flags, output)
      if (flags.type !== undefined && !kinds[flags.type]) {
        throw new BerthError('USAGE', `Unknown type "${flags.type}"`, {
          hint: `one of ${Object.keys(kinds).join(', ')}`,
        })
      }
      if (flags.plan) return forEach(names, (name) => plan(client, name), output)
      return inspectAll(names, (name) => findAny(client, name, flags.type), { format: flags.format, output })
    })
}

/** The first kind that has the name. */
async function findAny(client: DockerClient, name: string, only: string | undefined): Promise<unknown> {
  for (const [kind, path] of Object.entries(kinds)) {
    if (only !== undefined && only !== kind) continue
    try {
      return await client.json('GET', path(name))
    } catch (error) {
      if (!isBerthError(error, 'NOT_FOUND') || only !== undefined) throw error
    }
  }
  throw noSuchObject(name)
}

async function plan(client: DockerClient, name: string): Promise<string> {
  const { Lines } = await client.json<{ Lines: string[] }>(
    'GET',
    `/containers/${encodeURIComponent(name)}/plan`,
  )
  return Lines.join('\n')
}
