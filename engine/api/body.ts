import { BerthError, messageOf } from '../base/error.ts'
import { jsonPatched } from '../object/patch/json.ts'
import { mergePatched } from '../object/patch/merge.ts'
import { strategicPatched } from '../object/patch/strategic.ts'
import type { FieldSchema } from '../object/schema.ts'
import type { ApiRequest } from './message.ts'
import { decodeProtobuf } from './protobuf/decode.ts'

/** As large as Kubernetes takes. */
export const bodyLimitBytes = 3 * 1024 * 1024

/** The media type of a body, without parameters. */
export function contentType({ headers }: ApiRequest): string {
  return (headers['content-type'] ?? 'application/json').split(';')[0]?.trim() ?? ''
}

/**
 * Reads a body of JSON or, where the type says so, protobuf (as clients of built-in kinds send) or YAML. An empty one is
 * undefined. Throws `INVALID`.
 */
export async function readBody(request: ApiRequest): Promise<unknown> {
  if (request.body.length === 0) return undefined
  const type = contentType(request)
  if (type === 'application/vnd.kubernetes.protobuf') return decodeProtobuf(request.body)
  const text = new TextDecoder().decode(request.body)
  try {
    return JSON.parse(text)
  } catch (error) {
    if (!type.includes('yaml'))
      throw new BerthError('INVALID', `invalid JSON in the body: ${messageOf(error)}`)
  }
  const { parse } = await import('yaml')
  try {
    return parse(text, { version: '1.1', merge: true, logLevel: 'error', maxAliasCount: 100 })
  } catch (error) {
    throw new BerthError('INVALID', `error decoding YAML: ${messageOf(error)}`)
  }
}

export const applyPatchType = 'application/apply-patch+yaml'

type Patch = (current: object, patch: unknown, schema: FieldSchema) => unknown

/** The kinds of patches, by media type. */
export const patches: Readonly<Record<string, Patch>> = {
  'application/json-patch+json': (current, patch) => jsonPatched(current, patch),
  'application/merge-patch+json': (current, patch) => {
    if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) {
      throw new BerthError('INVALID', 'Cannot read the merge patch: it is not an object')
    }
    return mergePatched(current, patch)
  },
  'application/strategic-merge-patch+json': (current, patch, schema) =>
    strategicPatched(current as Record<string, unknown>, patch, schema),
}
