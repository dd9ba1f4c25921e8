import { isDeepStrictEqual } from 'node:util'
import { scaledValue } from '../int-or-string.ts'
import { selects } from '../selector.ts'
import type * as t from '../types.generated.ts'
import type { Causes } from './causes.ts'
import { checkImmutable, checkSelector } from './meta.ts'
import { checkTemplate } from './pod.ts'
import { checkClaimSpec } from './volume.ts'

export function checkDeployment({ spec }: t.Deployment, causes: Causes): void {
  causes.notNegative('spec.replicas', spec.replicas)
  checkSelected(spec, 'deployment', [], causes)
  causes.notNegative('spec.minReadySeconds', spec.minReadySeconds)
  causes.notNegative('spec.revisionHistoryLimit', spec.revisionHistoryLimit)
  causes.notNegative('spec.progressDeadlineSeconds', spec.progressDeadlineSeconds)
  if ((spec.progressDeadlineSeconds ?? 600) <= (spec.minReadySeconds ?? 0)) {
    causes.invalid(
      'spec.progressDeadlineSeconds',
      spec.progressDeadlineSeconds,
      'must be greater than minReadySeconds',
    )
  }
  const { type, rollingUpdate } = spec.strategy ?? {}
  causes.oneOf('spec.strategy', type, ['Recreate', 'RollingUpdate'])
  if (type === 'Recreate' && rollingUpdate) {
    causes.forbidden('spec.strategy.rollingUpdate', "may not be specified when strategy `type` is 'Recreate'")
  }
  if (type === 'RollingUpdate') {
    checkCount('spec.strategy.rollingUpdate.maxUnavailable', rollingUpdate?.maxUnavailable, true, causes)
    checkCount('spec.strategy.rollingUpdate.maxSurge', rollingUpdate?.maxSurge, false, causes)
    // Rounded as if of 100: only a literal 0 or 0% is nothing.
    const nothing = (value: number | string | undefined) => scaledValue(value, 100, 'up') === 0
    if (nothing(rollingUpdate?.maxUnavailable) && nothing(rollingUpdate?.maxSurge)) {
      causes.invalid(
        'spec.strategy.rollingUpdate.maxUnavailable',
        rollingUpdate?.maxUnavailable,
        'may not be 0 when `maxSurge` is 0',
      )
    }
  }
}

export function checkDeploymentUpdate(next: t.Deployment, previous: t.Deployment, causes: Causes): void {
  checkImmutable('spec.selector', next.spec.selector, previous.spec.selector, causes)
}

export function checkReplicaSet({ spec }: t.ReplicaSet, causes: Causes): void {
  causes.notNegative('spec.replicas', spec.replicas)
  causes.notNegative('spec.minReadySeconds', spec.minReadySeconds)
  if (spec.template) checkSelected({ ...spec, template: spec.template }, 'deployment', [], causes)
  else causes.required('spec.template')
}

export function checkReplicaSetUpdate(next: t.ReplicaSet, previous: t.ReplicaSet, causes: Causes): void {
  checkImmutable('spec.selector', next.spec.selector, previous.spec.selector, causes)
}

export function checkStatefulSet({ spec }: t.StatefulSet, causes: Causes): void {
  const policies = ['OrderedReady', 'Parallel']
  if (!policies.includes(spec.podManagementPolicy ?? '')) {
    causes.invalid(
      'spec.podManagementPolicy',
      spec.podManagementPolicy,
      "must be 'OrderedReady' or 'Parallel'",
    )
  }
  const { type, rollingUpdate } = spec.updateStrategy ?? {}
  if (type === 'OnDelete' && rollingUpdate) {
    causes.invalid(
      'spec.updateStrategy.rollingUpdate',
      rollingUpdate,
      "only allowed for updateStrategy 'RollingUpdate'",
    )
  } else if (type !== 'OnDelete' && type !== 'RollingUpdate') {
    causes.invalid('spec.updateStrategy', spec.updateStrategy, "must be 'RollingUpdate' or 'OnDelete'")
  }
  causes.notNegative('spec.updateStrategy.rollingUpdate.partition', rollingUpdate?.partition)
  for (const key of ['whenDeleted', 'whenScaled'] as const) {
    const field = `spec.persistentVolumeClaimRetentionPolicy.${key}`
    causes.oneOf(field, spec.persistentVolumeClaimRetentionPolicy?.[key], ['Retain', 'Delete'])
  }
  causes.notNegative('spec.replicas', spec.replicas)
  causes.notNegative('spec.minReadySeconds', spec.minReadySeconds)
  causes.notNegative('spec.ordinals.start', spec.ordinals?.start)
  const claims = spec.volumeClaimTemplates ?? []
  for (const [i, claim] of claims.entries())
    checkClaimSpec(`spec.volumeClaimTemplates[${i}].spec`, claim.spec, causes)
  const volumes = claims.map((claim) => ({ name: claim.metadata.name ?? '' }))
  checkSelected(spec, 'statefulset', volumes, causes)
}

const changeableOfStatefulSet = [
  ...['replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit'],
  ...['persistentVolumeClaimRetentionPolicy', 'minReadySeconds'],
]

export function checkStatefulSetUpdate(next: t.StatefulSet, previous: t.StatefulSet, causes: Causes): void {
  const fixed = (spec: object) =>
    Object.entries(spec).filter(([key]) => !changeableOfStatefulSet.includes(key))
  if (!isDeepStrictEqual(Object.fromEntries(fixed(next.spec)), Object.fromEntries(fixed(previous.spec)))) {
    causes.forbidden(
      'spec',
      "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
    )
  }
}

export function checkJob({ spec, metadata }: t.Job, causes: Causes): void {
  for (const key of [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
  ] as const) {
    causes.notNegative(`spec.${key}`, spec[key])
  }
  causes.oneOf('spec.completionMode', spec.completionMode, ['NonIndexed', 'Indexed'])
  if (spec.completionMode === 'Indexed' && spec.completions === undefined) {
    causes.required('spec.completions', 'when completion mode is Indexed')
  }
  for (const key of [
    'podFailurePolicy',
    'successPolicy',
    'backoffLimitPerIndex',
    'maxFailedIndexes',
    'managedBy',
  ] as const) {
    if (spec[key] !== undefined) causes.forbidden(`spec.${key}`, 'berth does not support this field yet')
  }
  checkTemplate('spec.template', spec.template, {}, causes)
  const policy = spec.template.spec?.restartPolicy
  if (policy === 'Always') {
    causes.required('spec.template.spec.restartPolicy', 'valid values: "OnFailure", "Never"')
  }
  const generated = { matchLabels: { 'batch.kubernetes.io/controller-uid': metadata.uid ?? '' } }
  if (!spec.manualSelector && spec.selector && !isDeepStrictEqual(spec.selector, generated)) {
    causes.invalid('spec.selector', spec.selector, '`selector` not auto-generated')
  }
  if (!spec.selector) causes.required('spec.selector')
  else if (!selects(spec.selector, spec.template.metadata?.labels)) {
    causes.invalid(
      'spec.template.metadata.labels',
      spec.template.metadata?.labels ?? {},
      '`selector` does not match template `labels`',
    )
  }
}

export function checkJobUpdate(next: t.Job, previous: t.Job, causes: Causes): void {
  const started = previous.status?.startTime !== undefined
  checkImmutable('spec.selector', next.spec.selector, previous.spec.selector, causes)
  checkImmutable('spec.completionMode', next.spec.completionMode, previous.spec.completionMode, causes)
  if (next.spec.completionMode !== 'Indexed') {
    checkImmutable('spec.completions', next.spec.completions, previous.spec.completions, causes)
  }
  // A suspended job that has not started may still get another template.
  if (!previous.spec.suspend || started) {
    checkImmutable('spec.template', next.spec.template, previous.spec.template, causes)
  }
}

/** A selector that is there, not empty, and selects the template's own labels; the template is one that stays. */
function checkSelected(
  spec: { readonly selector: t.LabelSelector; readonly template: t.PodTemplateSpec },
  kind: string,
  volumes: readonly t.Volume[],
  causes: Causes,
): void {
  const { selector, template } = spec
  if (!selector) causes.required('spec.selector')
  else {
    checkSelector('spec.selector', selector, causes)
    const size = Object.keys(selector.matchLabels ?? {}).length + (selector.matchExpressions ?? []).length
    if (size === 0) causes.invalid('spec.selector', selector, `empty selector is invalid for ${kind}`)
  }
  if (!template) {
    causes.required('spec.template')
    return
  }
  if (!selects(selector, template.metadata?.labels)) {
    causes.invalid(
      'spec.template.metadata.labels',
      template.metadata?.labels ?? {},
      '`selector` does not match template `labels`',
    )
  }
  checkTemplate('spec.template', template, { volumes }, causes)
  const policy = template.spec?.restartPolicy
  if (policy === 'OnFailure' || policy === 'Never') {
    causes.unsupported('spec.template.spec.restartPolicy', policy, ['Always'])
  }
  if (template.spec?.activeDeadlineSeconds !== undefined) {
    const title = kind === 'statefulset' ? 'StatefulSet' : 'ReplicaSet'
    causes.forbidden(
      'spec.template.spec.activeDeadlineSeconds',
      `activeDeadlineSeconds in ${title} is not Supported`,
    )
  }
}

function checkCount(
  field: string,
  value: number | string | undefined,
  atMostAll: boolean,
  causes: Causes,
): void {
  if (typeof value === 'number') causes.notNegative(field, value)
  if (typeof value !== 'string') return
  const match = /^(\d+)%$/.exec(value)
  if (!match) {
    causes.invalid(
      field,
      value,
      "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
    )
  } else if (atMostAll && Number(match[1]) > 100)
    causes.invalid(field, value, 'must not be greater than 100%')
}
