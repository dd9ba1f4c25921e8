import { withCondition } from '../object/conditions.ts'
import type { NodeFacts } from '../object/field-ref.ts'
import { timeText } from '../object/meta.ts'
import type { Node, NodeCondition, NodeStatus } from '../object/types.generated.ts'

/** What is to be said of this machine. */
export interface MachineFacts extends NodeFacts {
  readonly name: string
  readonly architecture: string
  readonly osImage: string
  readonly kernelVersion: string
  readonly machineId: string
  readonly bootId: string
  readonly diskBytes: number
  readonly version: string
}

/** How many pods one machine takes, as kubelet says by default. */
const podLimit = 110

/** The Node object of this machine, with what others have put on it kept. Beside the time of the report, equal when nothing changed. */
export function nodeObject(facts: MachineFacts, before: Node | undefined, now: number): Node {
  const labels = {
    'kubernetes.io/hostname': facts.name,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': facts.architecture,
    'node-role.kubernetes.io/control-plane': '',
  }
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { ...before?.metadata, name: facts.name, labels: { ...before?.metadata.labels, ...labels } },
    spec: before?.spec ?? {},
    status: statusOf(facts, before?.status, now),
  }
}

function statusOf(facts: MachineFacts, before: NodeStatus | undefined, now: number): NodeStatus {
  const capacity = {
    cpu: String(Math.floor(facts.cpuMilli / 1000)),
    memory: `${Math.floor(facts.memoryBytes / 1024)}Ki`,
    'ephemeral-storage': `${Math.floor(facts.diskBytes / 1024)}Ki`,
    pods: String(podLimit),
  }
  const ready = { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'berth is ready' }
  return {
    ...before,
    capacity,
    allocatable: capacity,
    addresses: [
      { type: 'InternalIP', address: facts.address },
      { type: 'Hostname', address: facts.name },
    ],
    conditions: withCondition<NodeCondition>(before?.conditions, ready, now).map((condition) => ({
      ...condition,
      lastHeartbeatTime: timeText(now),
    })),
    nodeInfo: {
      architecture: facts.architecture,
      bootID: facts.bootId,
      containerRuntimeVersion: `berth://${facts.version}`,
      kernelVersion: facts.kernelVersion,
      kubeProxyVersion: '',
      // The Kubernetes version whose API this is, then berth's own.
      kubeletVersion: `v1.35.0+berth-${facts.version}`,
      machineID: facts.machineId,
      operatingSystem: 'linux',
      osImage: facts.osImage,
      systemUUID: facts.machineId,
    },
  }
}
