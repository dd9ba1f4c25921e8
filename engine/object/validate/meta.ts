import { isDeepStrictEqual } from 'node:util'
import type { KubeObject } from '../meta.ts'
import type { LabelSelector, ObjectMeta } from '../types.generated.ts'
import type { Causes } from './causes.ts'
import { dnsLabel, dnsSubdomain, type FormCheck, labelValue, qualifiedName } from './names.ts'

const standardFinalizers = ['orphan', 'foregroundDeletion', 'kubernetes']
const annotationLimitBytes = 256 * 1024

/** Metadata of a new object: name, namespace, labels, annotations, owners, finalizers. */
export function checkMetadata(
  object: KubeObject,
  namespaced: boolean,
  name: FormCheck,
  causes: Causes,
): void {
  const { metadata } = object
  if (metadata.generateName) {
    const trial = metadata.generateName.replace(/-$/, 'a')
    causes.malformed('metadata.generateName', metadata.generateName, name(trial))
  }
  if (!metadata.name) causes.required('metadata.name', 'name or generateName is required')
  else causes.malformed('metadata.name', metadata.name, name(metadata.name))
  if (namespaced) {
    if (!metadata.namespace) causes.required('metadata.namespace')
    else causes.malformed('metadata.namespace', metadata.namespace, dnsLabel(metadata.namespace))
  } else if (metadata.namespace) causes.forbidden('metadata.namespace', 'not allowed on this type')
  checkMutableMetadata(metadata, causes)
}

/** What an update may change of metadata, and what it must not. */
export function checkMetadataUpdate(next: KubeObject, previous: KubeObject, causes: Causes): void {
  const unchangeable = [
    'name',
    'namespace',
    'uid',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
  ] as const
  for (const key of unchangeable)
    checkImmutable(`metadata.${key}`, next.metadata[key], previous.metadata[key], causes)
  if ((next.metadata.generation ?? 0) < (previous.metadata.generation ?? 0)) {
    causes.invalid('metadata.generation', next.metadata.generation ?? 0, 'must not be decremented')
  }
  if (previous.metadata.deletionTimestamp) {
    const added = (next.metadata.finalizers ?? []).filter(
      (name) => !previous.metadata.finalizers?.includes(name),
    )
    if (added.length > 0) {
      causes.forbidden(
        'metadata.finalizers',
        `no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`,
      )
    }
  }
  checkMutableMetadata(next.metadata, causes)
}

/** A field that keeps its value for life. */
export function checkImmutable(field: string, next: unknown, previous: unknown, causes: Causes): void {
  if (!isDeepStrictEqual(next, previous)) causes.invalid(field, next, 'field is immutable')
}

/** Keys and values of labels. */
export function checkLabels(
  field: string,
  labels: Readonly<Record<string, string>> | undefined,
  causes: Causes,
): void {
  for (const [key, value] of Object.entries(labels ?? {})) {
    causes.malformed(field, key, qualifiedName(key))
    causes.malformed(field, value, labelValue(value))
  }
}

/** Keys of annotations and their size in all. */
export function checkAnnotations(
  field: string,
  annotations: Readonly<Record<string, string>> | undefined,
  causes: Causes,
): void {
  let size = 0
  for (const [key, value] of Object.entries(annotations ?? {})) {
    causes.malformed(field, key, qualifiedName(key.toLowerCase()))
    size += Buffer.byteLength(key) + Buffer.byteLength(value)
  }
  if (size > annotationLimitBytes) causes.tooLong(field, `may not be more than ${annotationLimitBytes} bytes`)
}

/** The expressions of a label selector. */
export function checkSelector(field: string, selector: LabelSelector, causes: Causes): void {
  checkLabels(`${field}.matchLabels`, selector.matchLabels, causes)
  for (const [i, { key, operator, values = [] }] of (selector.matchExpressions ?? []).entries()) {
    const path = `${field}.matchExpressions[${i}]`
    const wantsValues = operator === 'In' || operator === 'NotIn'
    if (wantsValues && values.length === 0) {
      causes.required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'")
    } else if ((operator === 'Exists' || operator === 'DoesNotExist') && values.length > 0) {
      causes.forbidden(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    } else if (!wantsValues && operator !== 'Exists' && operator !== 'DoesNotExist') {
      causes.invalid(`${path}.operator`, operator, 'not a valid selector operator')
    }
    causes.malformed(`${path}.key`, key, qualifiedName(key))
    for (const [j, value] of values.entries())
      causes.malformed(`${path}.values[${j}]`, value, labelValue(value))
  }
}

function checkMutableMetadata(metadata: ObjectMeta, causes: Causes): void {
  checkLabels('metadata.labels', metadata.labels, causes)
  checkAnnotations('metadata.annotations', metadata.annotations, causes)
  for (const [i, finalizer] of (metadata.finalizers ?? []).entries()) {
    const field = `metadata.finalizers[${i}]`
    causes.malformed(field, finalizer, qualifiedName(finalizer))
    if (!finalizer.includes('/') && !standardFinalizers.includes(finalizer)) {
      causes.invalid(field, finalizer, 'name is neither a standard finalizer name nor is it fully qualified')
    }
  }
  const owners = metadata.ownerReferences ?? []
  for (const [i, owner] of owners.entries()) {
    const path = `metadata.ownerReferences[${i}]`
    if (!owner.apiVersion) causes.invalid(`${path}.apiVersion`, owner.apiVersion, 'version must not be empty')
    for (const key of ['kind', 'name', 'uid'] as const) {
      if (!owner[key]) causes.invalid(`${path}.${key}`, owner[key] ?? '', `${key} must not be empty`)
    }
  }
  const controllers = owners.filter((owner) => owner.controller)
  if (controllers.length > 1) {
    causes.invalid(
      'metadata.ownerReferences',
      owners,
      `Only one reference can have Controller set to true. Found "true" in references for ${controllers[0]?.kind}/${controllers[0]?.name} and ${controllers[1]?.kind}/${controllers[1]?.name}`,
    )
  }
}

/** The form that names of most kinds have. */
export const usualName = dnsSubdomain
