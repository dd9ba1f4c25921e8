import type { Job, Pod } from '../object/types.generated.ts'
import { podFrom } from './pods.ts'

/** Keeps a pod until its end is in the job's status. */
export const trackingFinalizer = 'batch.kubernetes.io/job-tracking'
const indexKey = 'batch.kubernetes.io/job-completion-index'

/** A pod of a job; with `completionMode: Indexed` the one of an index, which its containers find in JOB_COMPLETION_INDEX. */
export function podForJob(job: Job, index: number | undefined): Pod {
  const { template } = job.spec
  const name = job.metadata.name ?? ''
  const finalizers = [trackingFinalizer]
  if (index === undefined) return podFrom(job, template, { generateName: `${name}-`, finalizers })
  const mark = { [indexKey]: String(index) }
  const fieldRef = { apiVersion: 'v1', fieldPath: `metadata.annotations['${indexKey}']` }
  const variable = { name: 'JOB_COMPLETION_INDEX', valueFrom: { fieldRef } }
  const withIndex = <T extends { readonly env?: readonly { readonly name: string }[] }>(container: T) => ({
    ...container,
    env: [...(container.env ?? []), variable],
  })
  return podFrom(
    job,
    template,
    { generateName: `${name}-${index}-`, finalizers, labels: mark, annotations: mark },
    {
      hostname: `${name}-${index}`,
      containers: (template.spec?.containers ?? []).map(withIndex),
      ...(template.spec?.initContainers
        ? { initContainers: template.spec.initContainers.map(withIndex) }
        : {}),
    },
  )
}

/** The completion index of a pod. */
export function indexOf(pod: Pod): number | undefined {
  const text = pod.metadata.annotations?.[indexKey]
  return text === undefined ? undefined : Number(text)
}

/** Reads `1,3-5,7`. */
export function parseIndexes(text: string | undefined): readonly number[] {
  return (text ?? '')
    .split(',')
    .filter(Boolean)
    .flatMap((part) => {
      const [first = 0, last = first] = part.split('-').map(Number)
      return Array.from({ length: last - first + 1 }, (_, i) => first + i)
    })
}

/** Writes `1,3-5,7`. */
export function textOfIndexes(indexes: Iterable<number>): string {
  const sorted = [...new Set(indexes)].sort((a, b) => a - b)
  const parts: string[] = []
  for (let i = 0; i < sorted.length; ) {
    let j = i
    while (sorted[j + 1] === (sorted[j] ?? 0) + 1) j++
    parts.push(i === j ? `${sorted[i]}` : `${sorted[i]}-${sorted[j]}`)
    i = j + 1
  }
  return parts.join(',')
}
