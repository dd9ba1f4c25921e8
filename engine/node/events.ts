import type { ContainerStatus, Pod, PodStatus } from '../object/types.generated.ts'
import type { PodEvent } from './ports.ts'

const messages: Readonly<Record<string, (pod: Pod, status: ContainerStatus) => PodEvent>> = {
  CrashLoopBackOff: (pod, { name }) => ({
    type: 'Warning',
    reason: 'BackOff',
    message: `Back-off restarting failed container ${name} in pod ${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`,
  }),
  ImagePullBackOff: (_, { image }) => ({
    type: 'Normal',
    reason: 'BackOff',
    message: `Back-off pulling image "${image}"`,
  }),
  CreateContainerConfigError: (_, { state }) => ({
    type: 'Warning',
    reason: 'Failed',
    message: `Error: ${state?.waiting?.message}`,
  }),
  WaitingForNeeds: (_, { state }) => ({
    type: 'Normal',
    reason: 'WaitingForNeeds',
    message: `Pod ${state?.waiting?.message}`,
  }),
  ErrImageNeverPull: (_, { state }) => ({
    type: 'Warning',
    reason: 'ErrImageNeverPull',
    message: state?.waiting?.message ?? '',
  }),
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
      return [{ ...tell(pod, status), fieldPath: `${field}{${status.name}}` }]
    }),
  )
}
