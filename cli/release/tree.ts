import { plain } from '../../engine/base/describe.ts'
import { type ClusterObject, objectName, refOf } from '../../engine/release/cluster.ts'
import { type ContainerState, isOfWorkload, type PodObject, podTrouble } from '../../engine/release/pods.ts'
import { readinessOf } from '../../engine/release/readiness.ts'
import type { ReleaseRecord } from '../../engine/release/record.ts'
import { chartOf } from './present.ts'
import { isWorkload, wordOf } from './story.ts'

/** A line of the tree, and what is below it. */
interface Branch {
  readonly text: string
  readonly mark?: string
  readonly below?: readonly Branch[]
}

export interface TreeInput {
  readonly record: ReleaseRecord
  /** The release's objects: as the API has them, or as the record does where they are missing. */
  readonly objects: readonly { readonly wanted: ClusterObject; readonly live: ClusterObject | undefined }[]
  readonly pods: readonly PodObject[]
  readonly nowMs: number
}

/** A release as a tree: its workloads with their pods and containers, then what else it has. */
export function releaseTree({ record, objects, pods, nowMs }: TreeInput, color: boolean): string {
  const { name, namespace, version, info } = record
  const age = ageText(info.last_deployed, nowMs)
  const head = `${name}  ${info.status}  revision ${version}  ${chartOf(record)}  namespace ${namespace}  ${age} ago`
  const branches = objects
    .map(({ wanted, live }) => {
      const object = objectName(refOf(wanted))
      if (!live) return { isWork: isWorkload(object), branch: { text: `${object}  missing`, mark: '✗' } }
      if (!isWorkload(object))
        return { isWork: false, branch: { text: `${object}${detailOf(live)}`, mark: '✓' } }
      return { isWork: true, branch: workload(live, pods, nowMs) }
    })
    .toSorted((a, b) => Number(b.isWork) - Number(a.isWork))
    .map(({ branch }) => branch)
  const lines = draw(branches, '', color)
  return [color ? `\u001b[1m${head}\u001b[0m` : head, ...lines, ''].join('\n')
}

function workload(live: ClusterObject, pods: readonly PodObject[], nowMs: number): Branch {
  const object = objectName(refOf(live))
  const { state, reason } = readinessOf(live, { jobs: true })
  const mine = object.startsWith('Pod/')
    ? [live as PodObject]
    : pods.filter((pod) => isOfWorkload(pod, new Set([object])))
  const counts = replicasOf(live)
  return {
    mark: { ready: '✓', waiting: '·', failed: '✗' }[state],
    text: [object, counts, state === 'ready' ? 'ready' : reason].filter((part) => part !== '').join('  '),
    below: mine
      .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
      .map((pod) => podBranch(pod, nowMs)),
  }
}

function podBranch(pod: PodObject, nowMs: number): Branch {
  const { name, creationTimestamp } = pod.metadata
  const { podIP } = pod.status ?? {}
  const trouble = podTrouble(pod)
  const specs = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])]
  const states = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])]
  const word = trouble ? trouble.reason : wordOf(pod)
  return {
    mark: trouble ? '!' : word === 'ready' || word === 'done' ? '✓' : '·',
    text: [name, word, podIP ?? '', ageText(creationTimestamp, nowMs)]
      .filter((part) => part !== '')
      .join('  '),
    below: specs.map(({ name: container, image = '', ports = [] }) => {
      const state = states.find((one) => one.name === container)
      const listed = ports.map(({ containerPort, protocol = 'TCP' }) =>
        protocol === 'TCP' ? String(containerPort) : `${containerPort}/${protocol.toLowerCase()}`,
      )
      const parts = [
        container,
        image,
        stateText(state),
        restartsText(state?.restartCount ?? 0),
        listed.length === 0 ? '' : `port${listed.length > 1 ? 's' : ''} ${listed.join(', ')}`,
        trouble?.container === container ? trouble.text : '',
      ]
      return { text: parts.filter((part) => part !== '').join('  '), mark: state?.ready ? '✓' : '·' }
    }),
  }
}

function stateText(state: ContainerState | undefined): string {
  if (state?.ready && state.state?.running) return 'ready'
  if (state?.state?.running) return 'running, not ready'
  const waits = state?.state?.waiting?.reason
  if (waits === undefined && state?.state?.terminated)
    return state.state.terminated.exitCode === 0 ? 'done' : 'ended'
  return waits ?? 'waiting'
}

function restartsText(count: number): string {
  return count === 1 ? '1 restart' : `${count} restarts`
}

function replicasOf({ kind, spec, status }: ClusterObject): string {
  if (!['Deployment', 'StatefulSet', 'ReplicaSet'].includes(kind)) return ''
  const { replicas = 1 } = (spec ?? {}) as { replicas?: number }
  const { readyReplicas = 0 } = (status ?? {}) as { readyReplicas?: number }
  return `${readyReplicas}/${replicas}`
}

interface ServiceFields {
  readonly clusterIP?: string
  readonly type?: string
  readonly ports?: readonly { readonly port: number; readonly nodePort?: number }[]
}

/** Where a Service answers, what a claim has. */
function detailOf({ kind, spec, status }: ClusterObject): string {
  if (kind === 'Service') {
    const { clusterIP = '', type = 'ClusterIP', ports = [] } = (spec ?? {}) as ServiceFields
    const numbers = ports.map(({ port }) => port).join(',')
    const ingress = (
      status as { loadBalancer?: { ingress?: readonly { ip?: string; hostname?: string }[] } } | undefined
    )?.loadBalancer?.ingress
    const outside = (ingress ?? []).map(({ ip, hostname }) => ip ?? hostname ?? '')
    const inside = clusterIP === 'None' ? 'headless' : `${clusterIP}:${numbers}`
    const published =
      type === 'LoadBalancer'
        ? `  published ${outside.length === 0 ? numbers : outside.map((one) => `${one}:${numbers}`).join(', ')}`
        : ''
    return `  ${inside}${published}`
  }
  const { phase } = (status ?? {}) as { phase?: string }
  return phase === undefined ? '' : `  ${phase}`
}

function draw(branches: readonly Branch[], indent: string, color: boolean): string[] {
  return branches.flatMap(({ text, mark = '', below = [] }, i) => {
    const isLast = i === branches.length - 1
    const shown = color && mark !== '' ? `\u001b[${colors[mark] ?? '0'}m${mark}\u001b[0m` : mark
    const line = `${indent}${isLast ? '└─' : '├─'} ${shown === '' ? '' : `${shown} `}${plain(text).replaceAll('\n', ' ')}`
    return [line, ...draw(below, `${indent}${isLast ? '  ' : '│ '} `, color)]
  })
}

const colors: Readonly<Record<string, string>> = { '✓': '32', '✗': '31', '!': '33', '·': '90' }

/** `5s`, `12m`, `3h`, `2d`: kubectl's ages. */
function ageText(since: string | undefined, nowMs: number): string {
  const seconds = Math.max(0, Math.floor((nowMs - Date.parse(since ?? '')) / 1000))
  if (Number.isNaN(seconds)) return ''
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`
}
