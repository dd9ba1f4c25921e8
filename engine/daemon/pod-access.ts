import type { LogOptions, PodAccess, PodReference, PodSession } from '../api/pods.ts'
import { BerthError } from '../base/error.ts'
import type { ContainerRecord } from '../container/container.ts'
import type { Containers } from '../container/host/containers.ts'

/** Logs, exec and attach of pods' containers, for the Kubernetes API. */
export function podAccess(containers: Containers): PodAccess {
  return {
    // Found before the first line is asked for: what is missing is an answer, not a stream that breaks off.
    logs: (pod, options, signal) =>
      logLines(containers, instanceOf(containers, pod, options), options, signal),
    exec: async (pod, options, signal) => {
      const settings = { argv: options.command, terminal: options.tty, stdin: options.stdin }
      const session = await containers.exec(running(containers, pod).id, settings, signal)
      return session
    },
    attach: async (pod, options, signal): Promise<PodSession> => {
      const { id } = running(containers, pod)
      const { stdin, stdout, stderr } = options
      const session = await containers.attach(id, { stdin, stdout, stderr }, signal)
      const exited = containers.wait(id, 'not-running', signal).then(({ exitCode }) => ({ code: exitCode }))
      // A client that leaves before the container ends is no error of anybody's.
      exited.catch(() => undefined)
      return Object.assign(session, { exited })
    },
  }
}

/** The instances of a pod's container, newest first: restarts leave the last one for `--previous`. */
function instances(containers: Containers, pod: PodReference): readonly ContainerRecord[] {
  return containers
    .list()
    .filter(({ settings: { labels } }) => {
      return (
        labels['io.kubernetes.pod.uid'] === pod.uid &&
        labels['io.kubernetes.container.name'] === pod.container
      )
    })
    .sort((a, b) => b.created - a.created)
}

function running(containers: Containers, pod: PodReference): ContainerRecord {
  const found = instances(containers, pod).find(({ state }) => state.status === 'running')
  if (found) return found
  throw new BerthError('NOT_FOUND', `Container "${pod.container}" of pod "${pod.name}" does not run`)
}

function instanceOf(containers: Containers, pod: PodReference, { previous }: LogOptions): string {
  const found = instances(containers, pod)[previous ? 1 : 0]
  if (found) return found.id
  const which = previous ? 'previous terminated container' : 'container'
  throw new BerthError('INVALID', `${which} "${pod.container}" in pod "${pod.name}" not found`)
}

async function* logLines(
  containers: Containers,
  id: string,
  options: LogOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const since =
    options.sinceTime !== undefined
      ? Date.parse(options.sinceTime)
      : options.sinceSeconds !== undefined
        ? Date.now() - options.sinceSeconds * 1000
        : undefined
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY
  const lines = containers.logs(
    id,
    {
      stdout: true,
      stderr: true,
      follow: options.follow,
      ...(options.tailLines !== undefined && { tail: options.tailLines }),
      ...(since !== undefined && { since }),
    },
    signal,
  )
  for await (const { time, content } of lines) {
    const line = options.timestamps ? Buffer.concat([Buffer.from(`${time} `), content]) : content
    const part = line.length > left ? line.subarray(0, left) : line
    yield part
    left -= part.length
    if (left <= 0) return
  }
}
