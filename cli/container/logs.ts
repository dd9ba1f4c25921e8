import { once } from 'node:events'
import { Command } from 'commander'
import { parseDuration } from '../../engine/base/duration.ts'
import { BerthError, isBerthError } from '../../engine/base/error.ts'
import { decodeFrames } from '../../engine/client/docker/frames.ts'
import type { ContainerDetails } from '../../engine/client/docker/types.ts'
import { connect, withOtherLevel } from '../connect.ts'
import type { Output } from '../output.ts'

interface LogFlags {
  readonly host?: string
  readonly follow?: true
  readonly since?: string
  readonly until?: string
  readonly tail?: string
  readonly timestamps?: true
}

export function command(output: Output): Command {
  return new Command('logs')
    .description('Print the logs of a container')
    .argument('<container>')
    .option('-f, --follow', 'go on with what is written from now on')
    .option('--since <time>', 'from a time on, 2026-01-02T13:23:37Z, or 42m ago')
    .option('--until <time>', 'up to a time, or 42m ago')
    .option('-n, --tail <lines>', 'the last lines only')
    .option('-t, --timestamps', 'with the time of each line')
    .action(async (name: string, flags: LogFlags) => {
      const tail = flags.tail === undefined ? undefined : tailQuery(flags.tail)
      const client = connect(flags, output)
      try {
        const path = `/containers/${encodeURIComponent(name)}`
        const found = await client.json<ContainerDetails>('GET', `${path}/json`)
        const response = await client.stream('GET', `${path}/logs`, {
          query: {
            stdout: true,
            stderr: true,
            follow: flags.follow,
            timestamps: flags.timestamps,
            tail,
            since: flags.since === undefined ? undefined : timeQuery(flags.since, Date.now()),
            until: flags.until === undefined ? undefined : timeQuery(flags.until, Date.now()),
          },
        })
        if (found.Config.Tty) {
          for await (const chunk of response)
            if (!output.streams.stdout.write(chunk)) await once(output.streams.stdout, 'drain')
        } else {
          for await (const { stream, content } of decodeFrames(response)) {
            const to = output.streams[stream]
            if (!to.write(content)) await once(to, 'drain')
          }
        }
      } catch (error) {
        if (isBerthError(error, 'INTERRUPTED')) throw error
        output.fail(await withOtherLevel(error, { client, verb: 'logs', name }), 1)
      }
    })
}

/** A number of lines, or all. */
function tailQuery(text: string): string {
  if (/^(all|\d+)$/.test(text)) return text
  // Docker's way to write all.
  if (/^-\d+$/.test(text)) return 'all'
  throw new BerthError('USAGE', `Cannot read "${text}" of --tail: a number of lines, or all`)
}

/** Seconds since 1970 as the API takes them: from seconds, a duration ago, or a date with or without a time. */
export function timeQuery(text: string, now: number): string {
  if (/^\d+(\.\d+)?$/.test(text)) return text
  if (/^\d+(\.\d+)?(ns|us|µs|ms|s|m|h)/.test(text)) return ((now - parseDuration(text)) / 1000).toFixed(3)
  const at = Date.parse(text)
  if (Number.isNaN(at)) {
    throw new BerthError('USAGE', `Cannot read "${text}" as a time`, {
      hint: 'write 42m, 2026-01-02 or 2026-01-02T13:23:37Z',
    })
  }
  return (at / 1000).toFixed(3)
}
