import { BerthError } from '../../base/error.ts'
import type { ContainerRecord } from '../../container/container.ts'

/** Throws CONFLICT for a container that lives in a pod's sandbox: it goes with its pod, and would be made anew. */
export function refuseOfPod({ settings }: Pick<ContainerRecord, 'settings'>): void {
  const { 'io.kubernetes.pod.name': name, 'io.kubernetes.pod.namespace': namespace } = settings.labels ?? {}
  // Anybody may set the labels; the sandbox is the pod's alone.
  if (settings.sandbox === undefined || !name) return
  throw new BerthError(
    'CONFLICT',
    `Cannot remove container "${settings.name}": it belongs to pod ${namespace}/${name}`,
    { hint: `kubectl delete pod ${name} -n ${namespace}, or uninstall its release` },
  )
}
