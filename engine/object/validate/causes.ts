import { BerthError } from '../../base/error.ts'
import { groupOf, type KubeObject } from '../meta.ts'

/** One broken rule, in the words and the form of `status.details.causes` of the Kubernetes API. */
export interface Cause {
  readonly reason:
    | 'FieldValueRequired'
    | 'FieldValueInvalid'
    | 'FieldValueNotSupported'
    | 'FieldValueForbidden'
    | 'FieldValueDuplicate'
    | 'FieldValueNotFound'
    | 'FieldValueTooLong'
  readonly field: string
  readonly message: string
}

/** Collects every broken rule of an object, so that a person sees all of them at once. */
export class Causes {
  readonly #list: Cause[] = []

  get list(): readonly Cause[] {
    return this.#list
  }

  required(field: string, detail = ''): void {
    this.#add('FieldValueRequired', field, 'Required value', detail)
  }

  invalid(field: string, value: unknown, detail: string): void {
    this.#add('FieldValueInvalid', field, `Invalid value: ${text(value)}`, detail)
  }

  /** One `invalid` for each message that a check of a value's form gave. */
  malformed(field: string, value: unknown, details: readonly string[]): void {
    for (const detail of details) this.invalid(field, value, detail)
  }

  unsupported(field: string, value: unknown, supported: readonly string[]): void {
    const list = [...supported]
      .sort()
      .map((name) => JSON.stringify(name))
      .join(', ')
    this.#add(
      'FieldValueNotSupported',
      field,
      `Unsupported value: ${text(value)}`,
      `supported values: ${list}`,
    )
  }

  forbidden(field: string, detail: string): void {
    this.#add('FieldValueForbidden', field, 'Forbidden', detail)
  }

  duplicate(field: string, value: unknown): void {
    this.#add('FieldValueDuplicate', field, `Duplicate value: ${text(value)}`, '')
  }

  notFound(field: string, value: unknown): void {
    this.#add('FieldValueNotFound', field, `Not found: ${text(value)}`, '')
  }

  tooLong(field: string, detail: string): void {
    this.#add('FieldValueTooLong', field, 'Too long', detail)
  }

  /** A number that must not be negative; absent is fine. */
  notNegative(field: string, value: number | undefined): void {
    if (value !== undefined && value < 0) this.invalid(field, value, 'must be greater than or equal to 0')
  }

  /** A value out of a closed list; absent is `required`. */
  oneOf(field: string, value: string | undefined, supported: readonly string[]): void {
    if (!value) this.required(field)
    else if (!supported.includes(value)) this.unsupported(field, value, supported)
  }

  #add(reason: Cause['reason'], field: string, head: string, detail: string): void {
    this.#list.push({ reason, field, message: detail === '' ? head : `${head}: ${detail}` })
  }
}

/** The error for broken rules: `Deployment.apps "web" is invalid: spec.selector: Required value`. */
export function invalidError(object: KubeObject, causes: readonly Cause[]): BerthError {
  const group = groupOf(object.apiVersion)
  const kind = group === '' ? object.kind : `${object.kind}.${group}`
  const all = causes.map(({ field, message }) => `${field}: ${message}`)
  const list = all.length === 1 ? all[0] : `[${all.join(', ')}]`
  const name = object.metadata.name ?? object.metadata.generateName ?? ''
  return new BerthError('UNPROCESSABLE', `${kind} ${JSON.stringify(name)} is invalid: ${list}`, {
    details: { causes, kind: object.kind, group, name },
  })
}

function text(value: unknown): string {
  return value === undefined ? 'null' : JSON.stringify(value)
}
