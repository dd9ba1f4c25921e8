import { BerthError } from '../base/error.ts'

/** A wrong option of a request, in kube-apiserver's form: `PatchOptions.meta.k8s.io "" is invalid: …`. */
export function invalidOption(
  kind: string,
  cause: { reason: string; field: string; message: string },
): BerthError {
  const message = `${kind}.meta.k8s.io "" is invalid: ${cause.field}: ${cause.message}`
  return new BerthError('UNPROCESSABLE', message, {
    details: { kind, group: 'meta.k8s.io', causes: [cause] },
  })
}

/** An option whose value is none of a closed list. */
export function unsupportedOption(
  kind: string,
  field: string,
  { value, supported }: { readonly value: unknown; readonly supported: readonly string[] },
): BerthError {
  const list = supported.map((text) => JSON.stringify(text)).join(', ')
  const message = `Unsupported value: ${JSON.stringify(value)}: supported values: ${list}`
  return invalidOption(kind, { reason: 'FieldValueNotSupported', field, message })
}

/** The kind of a method's options. */
export function optionsKind(method: string): string {
  if (method === 'POST') return 'CreateOptions'
  return method === 'PATCH' ? 'PatchOptions' : 'UpdateOptions'
}
