import { existsSync, writeFileSync } from 'node:fs'
import { Command } from 'commander'
import { BerthError, isBerthError } from '../../engine/base/error.ts'
import type { DockerClient } from '../../engine/client/docker/docker.ts'
import type { ContainerCreated } from '../../engine/client/docker/types.ts'
import { connect, withOtherLevel } from '../connect.ts'
import { pullImage } from '../image/pull.ts'
import { canonical, splitReference } from '../image/reference.ts'
import type { Output } from '../output.ts'
import { addRunFlags } from './flags.ts'
import { attachAndStart, startExit } from './foreground.ts'
import { requireTerminal } from './session.ts'
import { containerBody, type RunFlags, thisCaller } from './settings.ts'

export interface CreateFlags extends RunFlags {
  readonly host?: string
  readonly pull?: string
  readonly quiet?: true
  readonly platform?: string
  readonly cidfile?: string
  readonly detachKeys?: string
  readonly sigProxy: boolean
}

export function command(output: Output): Command {
  return addRunFlags(new Command('run'))
    .description('Create and start a container from an image, pulled when it is missing')
    .argument('<image>')
    .argument('[command...]')
    .option('--sig-proxy', 'pass received signals to the process', true)
    .option('--no-sig-proxy')
    .action(async (image: string, args: string[], flags: CreateFlags) => {
      try {
        await runContainer({ image, args, flags }, output)
      } catch (error) {
        // Everything that goes wrong before the container's own exit code is 125, 126 or 127.
        if (isBerthError(error, 'INTERRUPTED')) throw error
        output.fail(error, startExit(error))
      }
    })
}

interface Run {
  readonly image: string
  readonly args: readonly string[]
  readonly flags: CreateFlags
}

async function runContainer({ image, args, flags }: Run, output: Output): Promise<void> {
  if (flags.detach && flags.attach)
    throw new BerthError('USAGE', 'Cannot use -a and -d together: conflicting options')
  if (!flags.detach)
    requireTerminal(output, { terminal: flags.tty === true, stdin: flags.interactive === true })
  const client = connect(flags, output)
  const created = await createContainer(client, { image, args, flags }, output)
  if (flags.detach) {
    await client.json('POST', `/containers/${created.Id}/start`)
    output.line(created.Id)
    return
  }
  output.exitCode = await attachAndStart(
    client,
    {
      id: created.Id,
      terminal: flags.tty === true,
      stdin: flags.interactive === true,
      autoRemove: flags.rm === true,
      sigProxy: flags.sigProxy,
      detachKeys: flags.detachKeys,
      streams: flags.attach?.map((s) => s.toLowerCase()) ?? ['stdin', 'stdout', 'stderr'],
    },
    output,
  )
}

/** Creates the container, pulling the image first when `--pull` says so or it is missing. */
export async function createContainer(
  client: DockerClient,
  { image, args, flags }: Run,
  output: Output,
): Promise<ContainerCreated> {
  const when = flags.pull ?? 'missing'
  if (!['always', 'missing', 'never'].includes(when)) {
    throw new BerthError('USAGE', `Cannot read "${when}" of --pull: one of always, missing, never`)
  }
  if (flags.cidfile !== undefined && existsSync(flags.cidfile)) {
    throw new BerthError('ALREADY_EXISTS', `Cannot write the container id: "${flags.cidfile}" exists`, {
      hint: 'remove the file or choose another',
    })
  }
  const body = containerBody(image, args, flags, thisCaller(output.env))
  const create = () =>
    client.json<ContainerCreated>('POST', '/containers/create', {
      query: {
        name: flags.name,
        platform: flags.platform,
        checkPorts: flags.publish !== undefined || undefined,
      },
      body,
    })
  const pull = async () => {
    try {
      await pullImage(client, image, { ...flags, stream: output.streams.stderr })
    } catch (error) {
      throw await withOtherLevel(error, { client, verb: 'run', name: image })
    }
  }
  if (when === 'always') await pull()
  let created: ContainerCreated
  try {
    created = await create()
  } catch (error) {
    if (when === 'never' || !isBerthError(error, 'NOT_FOUND') || !/no such image/i.test(error.message))
      throw error
    const name = canonical(splitReference(image)).replace(/^docker\.io\/(library\/)?/, '')
    if (!flags.quiet) output.note(`Unable to find image '${name}' locally`)
    await pull()
    created = await create()
  }
  for (const warning of created.Warnings ?? []) output.note(`WARNING: ${warning}`)
  if (flags.cidfile !== undefined) writeFileSync(flags.cidfile, created.Id)
  return created
}
