import { isDeepStrictEqual } from 'node:util'
import { compareQuantities, readQuantity } from '../quantity.ts'
import type * as t from '../types.generated.ts'
import type { Causes } from './causes.ts'
import { checkImmutable } from './meta.ts'
import { configKey } from './names.ts'
import { checkAccessModes, checkClaimSpec } from './volume.ts'

/** What a ConfigMap or a Secret may hold in all; etcd's limit of an object. */
const limitBytes = 1024 * 1024

export function checkConfigMap(map: t.ConfigMap, causes: Causes): void {
  let size = 0
  for (const [key, value] of Object.entries(map.data ?? {})) {
    causes.malformed(`data[${key}]`, key, configKey(key))
    size += Buffer.byteLength(value)
  }
  for (const [key, value] of Object.entries(map.binaryData ?? {})) {
    causes.malformed(`binaryData[${key}]`, key, configKey(key))
    if (map.data?.[key] !== undefined)
      causes.invalid(`binaryData[${key}]`, key, 'duplicate of key present in data')
    size += bytesOf(value)
  }
  if (size > limitBytes) causes.tooLong('', `may not be more than ${limitBytes} bytes`)
}

export function checkConfigMapUpdate(next: t.ConfigMap, previous: t.ConfigMap, causes: Causes): void {
  checkFrozen(next, previous, ['data', 'binaryData'], causes)
}

/** Keys that a Secret of a type must have. */
const requiredKeys: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
}

export function checkSecret(secret: t.Secret, causes: Causes): void {
  let size = 0
  for (const [key, value] of Object.entries(secret.data ?? {})) {
    causes.malformed(`data[${key}]`, key, configKey(key))
    size += bytesOf(value)
  }
  if (size > limitBytes) causes.tooLong('data', `may not be more than ${limitBytes} bytes`)
  for (const key of requiredKeys[secret.type ?? ''] ?? []) {
    if (secret.data?.[key] === undefined) causes.required(`data[${key}]`)
  }
  const config = secret.data?.['.dockerconfigjson']
  if (secret.type === 'kubernetes.io/dockerconfigjson' && config !== undefined && !isJson(config)) {
    causes.invalid('data[.dockerconfigjson]', '<secret contents redacted>', 'must be valid JSON')
  }
}

export function checkSecretUpdate(next: t.Secret, previous: t.Secret, causes: Causes): void {
  checkImmutable('type', next.type, previous.type, causes)
  checkFrozen(next, previous, ['data'], causes)
}

export function checkClaim({ spec }: t.PersistentVolumeClaim, causes: Causes): void {
  checkClaimSpec('spec', spec, causes)
}

export function checkClaimUpdate(
  next: t.PersistentVolumeClaim,
  previous: t.PersistentVolumeClaim,
  causes: Causes,
): void {
  const fixed = (claim: t.PersistentVolumeClaim) => ({
    ...claim.spec,
    resources: undefined,
    volumeName: previous.spec.volumeName ? claim.spec.volumeName : undefined,
    storageClassName: previous.spec.storageClassName === undefined ? undefined : claim.spec.storageClassName,
  })
  if (!isDeepStrictEqual(fixed(next), fixed(previous))) {
    causes.forbidden(
      'spec',
      'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
    )
  }
  const before = previous.spec.resources?.requests?.storage
  const after = next.spec.resources?.requests?.storage
  if (before && after && compareQuantities(readQuantity(after), readQuantity(before)) < 0) {
    causes.forbidden('spec.resources.requests.storage', 'field can not be less than status.capacity')
  }
}

export function checkVolume({ spec }: t.PersistentVolume, causes: Causes): void {
  checkAccessModes('spec.accessModes', spec.accessModes, causes)
  if (spec.capacity?.storage === undefined) causes.required('spec.capacity')
  causes.oneOf('spec.persistentVolumeReclaimPolicy', spec.persistentVolumeReclaimPolicy, [
    'Delete',
    'Recycle',
    'Retain',
  ])
  if (!spec.hostPath && !spec.local && !spec.csi && !spec.nfs)
    causes.required('spec', 'must specify a volume type')
}

export function checkControllerRevision(revision: t.ControllerRevision, causes: Causes): void {
  if (revision.data === undefined) causes.required('data', 'data is mandatory')
  causes.notNegative('revision', revision.revision)
}

export function checkControllerRevisionUpdate(
  next: t.ControllerRevision,
  previous: t.ControllerRevision,
  causes: Causes,
): void {
  checkImmutable('data', next.data, previous.data, causes)
}

/** A ConfigMap or Secret marked immutable keeps its content and its mark. */
function checkFrozen<T extends { readonly immutable?: boolean }>(
  next: T,
  previous: T,
  fields: readonly (keyof T & string)[],
  causes: Causes,
): void {
  if (!previous.immutable) return
  if (!next.immutable) causes.forbidden('immutable', 'field is immutable when `immutable` is set')
  for (const field of fields) {
    if (!isDeepStrictEqual(next[field], previous[field])) {
      causes.forbidden(field, 'field is immutable when `immutable` is set')
    }
  }
}

function bytesOf(base64: string): number {
  return Buffer.byteLength(base64, 'base64')
}

function isJson(base64: string): boolean {
  try {
    JSON.parse(Buffer.from(base64, 'base64').toString('utf8'))
    return true
  } catch {
    return false
  }
}
