import jsonPatch from 'fast-json-patch'
import { BerthError, messageOf } from '../../base/error.ts'

/** As kube-apiserver: more is refused before any work. */
const maxOperations = 10_000

/**
 * RFC 6902. Gives a new value. Throws `INVALID` for what is no patch, `UNPROCESSABLE` when an operation (a `test`, a
 * path that is not there) does not fit the value.
 */
export function jsonPatched<T>(value: T, patch: unknown): T {
  if (!Array.isArray(patch)) throw new BerthError('INVALID', 'Cannot read the JSON patch: it is not a list')
  if (patch.length > maxOperations) {
    throw new BerthError(
      'INVALID',
      `The allowed maximum operations in a JSON patch is ${maxOperations}, got ${patch.length}`,
    )
  }
  for (const operation of patch) {
    if (typeof operation !== 'object' || operation === null || typeof operation.op !== 'string') {
      throw new BerthError('INVALID', 'Cannot read the JSON patch: an item is not an operation')
    }
  }
  try {
    return jsonPatch.applyPatch(structuredClone(value), patch, true, true, true).newDocument
  } catch (error) {
    const { name, index } = error as { name?: string; index?: number }
    throw new BerthError(
      'UNPROCESSABLE',
      `Cannot apply the JSON patch: ${messageOf(error).split('. ')[0]?.split(' name: ')[0]}`,
      { details: { rule: name, operation: index } },
    )
  }
}
