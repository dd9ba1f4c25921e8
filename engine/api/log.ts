import { BerthError } from '../base/error.ts'
import type { Pod } from '../object/types.generated.ts'
import type { StoredObject } from '../store/object.ts'
import type { LogOptions, PodReference } from './pods.ts'

/** Which container of a pod a request means: the one it names, the pod's default, or the only one. Throws `INVALID`. */
export function containerOf(object: StoredObject, asked: string | null): PodReference {
  const { metadata, spec } = object as unknown as Pod
  const names = [...(spec.initContainers ?? []), ...spec.containers].map((container) => container.name)
  const annotated = metadata.annotations?.['kubectl.kubernetes.io/default-container']
  const chosen = asked || (annotated && names.includes(annotated) ? annotated : undefined)
  const name = chosen ?? (spec.containers.length === 1 ? spec.containers[0]?.name : undefined)
  if (name === undefined) {
    const all = spec.containers.map((container) => container.name).join(' ')
    throw new BerthError(
      'INVALID',
      `a container name must be specified for pod ${metadata.name}, choose one of: [${all}]`,
    )
  }
  if (!names.includes(name)) {
    throw new BerthError('INVALID', `container ${name} is not valid for pod ${metadata.name}`)
  }
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name ?? '',
    uid: metadata.uid ?? '',
    container: name,
  }
}

const pullTroubles: Readonly<Record<string, string>> = {
  ErrImagePull: "image can't be pulled",
  ImagePullBackOff: 'trying and failing to pull image',
}

/** Why there are no logs of a container that waits to start, in a kubelet's words; undefined when it does not wait. */
export function whyNotStarted(object: StoredObject, container: string): BerthError | undefined {
  const { metadata, status } = object as unknown as Pod
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]
  const reason = all.find(({ name }) => name === container)?.state?.waiting?.reason
  if (reason === undefined) return undefined
  return new BerthError(
    'INVALID',
    `container "${container}" in pod "${metadata.name}" is waiting to start: ${pullTroubles[reason] ?? reason}`,
  )
}

/** Reads the query of `pods/NAME/log`. Throws `INVALID`. */
export function logOptionsOf(query: URLSearchParams): LogOptions {
  const flag = (name: string) => isTrue(query.get(name))
  const count = (name: string) => {
    const text = query.get(name)
    if (text === null || text === '') return {}
    const value = Number(text)
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new BerthError('INVALID', `${name} must be a whole number, not ${JSON.stringify(text)}`)
    }
    return { [name]: value }
  }
  const sinceTime = query.get('sinceTime')
  return {
    follow: flag('follow'),
    previous: flag('previous'),
    timestamps: flag('timestamps'),
    ...count('tailLines'),
    ...count('sinceSeconds'),
    ...count('limitBytes'),
    ...(sinceTime ? { sinceTime } : {}),
  }
}

/** A flag of a query, as Kubernetes reads it: there, and not false or 0. */
export function isTrue(value: string | null): boolean {
  return value !== null && value !== 'false' && value !== '0'
}
