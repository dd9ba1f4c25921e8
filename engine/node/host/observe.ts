import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { ContainerRecord } from '../../container/container.ts'
import { readLogs } from '../../container/host/logs.ts'
import type { Pod } from '../../object/types.generated.ts'
import type { Observed, ObservedContainer, ObservedImage } from '../observed.ts'
import { allContainers } from '../plan.ts'
import type { ContainerEngine, ImageEngine, SandboxEngine } from '../ports.ts'
import type { PodVolumes } from './pod-volumes.ts'

const uidLabel = 'io.kubernetes.pod.uid'
/** What a container may leave behind as its last words. */
const messageLimitBytes = 4096
const logMessageBytes = 2048
const logLimitMs = 2000

export interface Sources {
  readonly engine: ContainerEngine
  readonly sandboxes: SandboxEngine
  readonly images: ImageEngine
  readonly volumes: PodVolumes
}

/** The id of a pod's sandbox: it follows from the pod, so that it is found again without a record. */
export function sandboxId(pod: Pod): string {
  return createHash('sha256')
    .update(pod.metadata.uid ?? '')
    .digest('hex')
}

/** The uid of the pod that a container belongs to. */
export function podUidOf(labels: Readonly<Record<string, string>>): string | undefined {
  return labels[uidLabel]
}

/** What is on this machine of a pod. */
export async function observe(pod: Pod, { engine, sandboxes, images, volumes }: Sources): Promise<Observed> {
  const records = engine.list().filter((record) => podUidOf(record.settings.labels) === pod.metadata.uid)
  const sandbox = sandboxes.list().find((one) => one.id === sandboxId(pod) && one.opened)
  const known = new Map<string, ObservedImage>()
  for (const { image = '' } of allContainers(pod)) {
    const here = images.get(image)
    if (here) known.set(image, { id: here.id, user: here.config.config?.User ?? '' })
  }
  const containers = await Promise.all(
    records.filter((r) => r.state.status !== 'removing').map((r) => observeRun(pod, r, volumes)),
  )
  const address = Object.values(sandbox?.opened?.networks ?? {})[0]?.address ?? ''
  return {
    sandbox: sandbox && { id: sandbox.id, address, createdAt: sandbox.created },
    containers,
    images: known,
    volumesReady: await volumes.isReady(pod),
  }
}

async function observeRun(
  pod: Pod,
  record: ContainerRecord,
  volumes: PodVolumes,
): Promise<ObservedContainer> {
  const { state, settings } = record
  const name = settings.labels['io.kubernetes.container.name'] ?? ''
  const attempt = Number(settings.labels['io.kubernetes.container.restartCount'] ?? 0)
  const ended = state.status === 'exited' || state.status === 'dead'
  const message = ended
    ? (await readMessage(messageFile(volumes.folderOf(pod), name, attempt))) || (await lastWords(pod, record))
    : undefined
  return {
    id: record.id,
    name,
    attempt,
    image: settings.image,
    imageId: record.imageId,
    status: ended ? 'exited' : state.status === 'created' ? 'created' : 'running',
    ...(state.startedAt === undefined ? {} : { startedAt: state.startedAt }),
    ...(state.finishedAt === undefined ? {} : { finishedAt: state.finishedAt }),
    exitCode: state.exitCode,
    oomKilled: state.oomKilled,
    ...(message ? { message } : {}),
  }
}

/** Where a run of a container leaves its last words. */
export function messageFile(podFolder: string, container: string, attempt: number): string {
  return join(podFolder, 'containers', container, String(attempt))
}

async function readMessage(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(messageLimitBytes), 0, messageLimitBytes, 0)
    return buffer.toString('utf8', 0, bytesRead)
  } catch {
    // A container that said nothing has no file, or a folder in its place.
    return undefined
  }
}

/** The end of the log of one that failed, when its spec wants that in place of a message: 80 lines, at most 2 KiB. */
async function lastWords(
  pod: Pod,
  { settings, state, logPath }: ContainerRecord,
): Promise<string | undefined> {
  const name = settings.labels['io.kubernetes.container.name']
  const container = allContainers(pod).find((one) => one.name === name)
  if (container?.terminationMessagePolicy !== 'FallbackToLogsOnError' || state.exitCode === 0)
    return undefined
  const chunks: Uint8Array[] = []
  const life = { ended: Promise.resolve(), signal: AbortSignal.timeout(logLimitMs) }
  try {
    for await (const { content } of readLogs(logPath, { stdout: true, stderr: true, tail: 80 }, life))
      chunks.push(content)
  } catch {
    // A message that cannot be had does not keep the pod's status back.
  }
  return Buffer.concat(chunks).subarray(-logMessageBytes).toString('utf8')
}
