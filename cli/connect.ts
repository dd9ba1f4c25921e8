import { BerthError, isBerthError } from '../engine/base/error.ts'
import { parseHost } from '../engine/client/docker/address.ts'
import { DockerClient } from '../engine/client/docker/docker.ts'
import type { Output } from './output.ts'

/** The client of the daemon that `--host`, else BERTH_HOST, names. */
export function connect(options: { readonly host?: string }, output: Output): DockerClient {
  return new DockerClient(parseHost(options.host ?? output.env.BERTH_HOST))
}

/** What a name is, when it is not what the verb wants: the verb that fits it. */
const otherLevel: Readonly<Record<'container' | 'image', Readonly<Record<string, string>>>> = {
  // The name is an image: what to do with it in place of a container's verb.
  image: { rm: 'rmi', start: 'run', restart: 'run', exec: 'run', inspect: 'image inspect' },
  // The name is a container: in place of an image's verb, or of run.
  container: { rmi: 'rm', run: 'start' },
}

/**
 * Adds to "no such container" (or image) what the name is instead, and the verb for that; any other error comes back
 * as it was.
 */
export async function withOtherLevel(
  error: unknown,
  { client, verb, name }: { client: DockerClient; verb: string; name: string },
): Promise<unknown> {
  if (!isBerthError(error)) return error
  const kind = verb === 'rmi' || verb === 'run' ? 'container' : 'image'
  if (verb !== 'run' && error.code !== 'NOT_FOUND') return error
  const path = kind === 'image' ? `/images/${name}/json` : `/containers/${encodeURIComponent(name)}/json`
  const found = await client.json<{ State?: { Status: string } }>('GET', path).catch(() => undefined)
  if (!found) return error
  const fits = otherLevel[kind][verb]
  const status = found.State ? ` (${found.State.Status})` : ''
  return new BerthError(
    error.code,
    `${error.message}: "${name}" is ${kind === 'image' ? 'an image' : `a container${status}`}`,
    {
      hint: fits ? `berth ${fits} ${name}` : `berth ps -a --filter ancestor=${name} lists its containers`,
      ...(error.details && { details: error.details }),
    },
  )
}

/** Does `act` for each name, prints what it gives, reports each failure and goes on; exit code 1 when one failed. */
export async function forEach(
  names: readonly string[],
  act: (name: string) => Promise<string | undefined>,
  output: Output,
): Promise<void> {
  for (const name of names) {
    try {
      const line = await act(name)
      if (line !== undefined) output.line(line)
    } catch (error) {
      output.fail(error, isBerthError(error, 'INTERRUPTED') ? undefined : 1)
    }
  }
}

/** `--filter KEY=VALUE` given any number of times, as the API wants it. */
export function filterQuery(filters: readonly string[] | undefined): string | undefined {
  if (!filters || filters.length === 0) return undefined
  const map: Record<string, Record<string, boolean>> = {}
  for (const filter of filters) {
    const at = filter.indexOf('=')
    if (at <= 0) {
      throw new BerthError('USAGE', `Cannot read filter "${filter}"`, {
        hint: 'write KEY=VALUE, such as status=exited',
      })
    }
    const key = filter.slice(0, at).toLowerCase()
    map[key] = { ...map[key], [filter.slice(at + 1)]: true }
  }
  return JSON.stringify(map)
}

/** Collects an option that may be given several times. */
export function list(value: string, all: string[] | undefined): string[] {
  return [...(all ?? []), value]
}
