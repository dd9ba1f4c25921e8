import { BerthError } from '../base/error.ts'
import { selectorText } from '../object/selector.ts'
import type { LabelSelector } from '../object/types.generated.ts'
import type { StoredObject } from '../store/object.ts'

interface Scaled {
  readonly spec?: { readonly replicas?: number; readonly selector?: LabelSelector }
  readonly status?: { readonly replicas?: number }
}

/** The Scale of an object: its replicas and the selector of its pods. */
export function scaleOf(object: StoredObject): object {
  const { spec, status } = object as Scaled
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: spec?.replicas ?? 0 },
    status: { replicas: status?.replicas ?? 0, selector: selectorText(spec?.selector) },
  }
}

/** The object with the replicas (and the resourceVersion that it was read at) of a Scale. Throws `INVALID`. */
export function scaledTo(object: StoredObject, scale: unknown): object {
  const { spec, metadata } = (scale ?? {}) as {
    spec?: { replicas?: unknown }
    metadata?: { resourceVersion?: string; uid?: string }
  }
  const replicas = spec?.replicas ?? 0
  if (!Number.isSafeInteger(replicas) || (replicas as number) < 0) {
    throw new BerthError(
      'UNPROCESSABLE',
      `Scale.autoscaling "${object.metadata.name}" is invalid: spec.replicas: Invalid value: ${JSON.stringify(replicas)}: must be greater than or equal to 0`,
      {
        details: {
          name: object.metadata.name,
          group: 'autoscaling',
          kind: 'Scale',
          causes: [
            {
              reason: 'FieldValueInvalid',
              field: 'spec.replicas',
              message: `Invalid value: ${JSON.stringify(replicas)}: must be greater than or equal to 0`,
            },
          ],
        },
      },
    )
  }
  const { resourceVersion, uid } = metadata ?? {}
  return {
    ...object,
    metadata: {
      ...object.metadata,
      ...(resourceVersion ? { resourceVersion } : {}),
      ...(uid ? { uid } : {}),
    },
    spec: { ...(object.spec as object), replicas },
  }
}
