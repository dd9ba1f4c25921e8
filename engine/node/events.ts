import type { ContainerStatus, Pod, PodStatus } from '../object/types.generated.ts'
import type { PodEvent } from './ports.ts'

const normal = (reason: string, message: string): PodEvent => ({ type: 'Normal', reason, message })
const warning = (reason: string, message: string): PodEvent => ({ type: 'Warning', reason, message })

/** What is told when a container begins to wait for a reason, in kubelet's words. */
const messages: Readonly<Record<string, (pod: Pod, status: ContainerStatus) => readonly PodEvent[]>> = {
  CrashLoopBackOff: ({ metadata }, { name }) => [
    warning(
      'BackOff',
      `Back-off restarting failed container ${name} in pod ${metadata.name}_${metadata.namespace}(${metadata.uid})`,
    ),
  ],
  ImagePullBackOff: (_, { image }) => [
    normal('BackOff', `Back-off pulling image "${image}"`),
    warning('Failed', 'Error: ImagePullBackOff'),
  ],
  CreateContainerConfigError: (_, { state }) => [warning('Failed', `Error: ${state?.waiting?.message}`)],
  WaitingForNeeds: (_, { state }) => [normal('WaitingForNeeds', `Pod ${state?.waiting?.message}`)],
  ErrImageNeverPull: (_, { state }) => [
    warning('ErrImageNeverPull', state?.waiting?.message ?? ''),
    warning('Failed', 'Error: ErrImageNeverPull'),
  ],
}

/** The events that tell of a change of status: a container that begins to wait for a reason that a person should know. */
export function eventsOf(pod: Pod, next: PodStatus): readonly PodEvent[] {
  const lists = [
    ['spec.initContainers', pod.status?.initContainerStatuses, next.initContainerStatuses],
    ['spec.containers', pod.status?.containerStatuses, next.containerStatuses],
  ] as const
  return lists.flatMap(([field, before, after]) =>
    (after ?? []).flatMap((status) => {
      const reason = status.state?.waiting?.reason ?? ''
      const old = before?.find((one) => one.name === status.name)
      const tell = messages[reason]
      if (!tell || (old?.state?.waiting?.reason === reason && old.restartCount === status.restartCount))
        return []
      return tell(pod, status).map((event) => ({ ...event, fieldPath: `${field}{${status.name}}` }))
    }),
  )
}
