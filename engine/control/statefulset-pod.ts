import { controllerReference } from '../object/meta.ts'
import type { PersistentVolumeClaim, Pod, PodTemplateSpec, StatefulSet } from '../object/types.generated.ts'
import type { Write } from './decision.ts'
import { podFrom } from './pods.ts'
import type { View } from './view.ts'

export const revisionLabel = 'controller-revision-hash'

/** The number in a pod's name when it is one that the set gives. */
export function ordinalOf(set: StatefulSet, pod: Pod): number | undefined {
  const prefix = `${set.metadata.name}-`
  const name = pod.metadata.name ?? ''
  const rest = name.startsWith(prefix) ? name.slice(prefix.length) : ''
  return /^(0|[1-9]\d{0,8})$/.test(rest) ? Number(rest) : undefined
}

/** The pod of an ordinal: its name is its host name, and its claims take the place of volumes of the same name. */
export function podFor(
  set: StatefulSet,
  ordinal: number,
  { revision, template }: { readonly revision: string; readonly template: PodTemplateSpec },
): Pod {
  const name = `${set.metadata.name}-${ordinal}`
  const claims = (set.spec.volumeClaimTemplates ?? []).map((claim) => ({
    name: claim.metadata.name ?? '',
    persistentVolumeClaim: { claimName: claimName(set, claim, ordinal) },
  }))
  const others = (template.spec?.volumes ?? []).filter(
    (volume) => !claims.some((claim) => claim.name === volume.name),
  )
  const volumes = [...claims, ...others]
  const labels = {
    [revisionLabel]: revision,
    'statefulset.kubernetes.io/pod-name': name,
    'apps.kubernetes.io/pod-index': String(ordinal),
  }
  return podFrom(
    set,
    template,
    { name, labels },
    {
      hostname: name,
      ...(set.spec.serviceName ? { subdomain: set.spec.serviceName } : {}),
      ...(volumes.length > 0 ? { volumes } : {}),
    },
  )
}

/** The claims of an ordinal. With `whenDeleted: Delete` they go with the set. */
export function claimsFor(set: StatefulSet, ordinal: number): readonly PersistentVolumeClaim[] {
  const leaves = set.spec.persistentVolumeClaimRetentionPolicy?.whenDeleted === 'Delete'
  const { controller: _, blockOwnerDeletion: __, ...owner } = controllerReference(set)
  return (set.spec.volumeClaimTemplates ?? []).map((template) => ({
    ...template,
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: claimName(set, template, ordinal),
      namespace: set.metadata.namespace ?? '',
      labels: { ...template.metadata.labels, ...set.spec.selector.matchLabels },
      ...(template.metadata.annotations ? { annotations: template.metadata.annotations } : {}),
      ...(leaves ? { ownerReferences: [owner] } : {}),
    },
  }))
}

/** With `whenScaled: Delete`, the claims of a pod that is given up get it as their owner, and so go after it. */
export function scaledClaims(view: View, set: StatefulSet, pod: Pod): Write[] {
  if (set.spec.persistentVolumeClaimRetentionPolicy?.whenScaled !== 'Delete') return []
  const { name = '', uid = '' } = pod.metadata
  const owner = { apiVersion: 'v1', kind: 'Pod', name, uid }
  return (set.spec.volumeClaimTemplates ?? []).flatMap((template): Write[] => {
    const named = claimName(set, template, ordinalOf(set, pod) ?? 0)
    const claim = view.get('PersistentVolumeClaim', set.metadata.namespace ?? '', named)
    if (!claim || claim.metadata.ownerReferences?.some((reference) => reference.uid === uid)) return []
    const metadata = { ...claim.metadata, ownerReferences: [owner] }
    return [
      {
        verb: 'update',
        object: { ...claim, metadata },
        why: `pod ${name} is given up, and claims go with it`,
      },
    ]
  })
}

function claimName(set: StatefulSet, claim: PersistentVolumeClaim, ordinal: number): string {
  return `${claim.metadata.name}-${set.metadata.name}-${ordinal}`
}
