import type { ErrorObject, ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { BerthError } from '../base/error.ts'
import { suggest } from '../base/suggest.ts'
import type { YamlDocument, YamlPath } from './yaml.ts'

/** One broken rule of a schema, in words, with the place that broke it. */
export interface Violation {
  readonly path: YamlPath
  readonly message: string
  readonly hint?: string
}

let strict: Ajv2020 | undefined
const compiled = new Map<object, ValidateFunction>()

/** A validator of one of berth's own schemas (the strict instance), compiled once. */
export function validatorOf(schema: object): ValidateFunction {
  strict ??= new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true, verbose: true })
  let validate = compiled.get(schema)
  if (!validate) {
    validate = strict.compile(schema)
    compiled.set(schema, validate)
  }
  return validate
}

/** What is wrong with a value, each place once: unknown fields, then the order of the schema's rules. */
export function violations(validate: ValidateFunction, value: unknown): Violation[] {
  if (validate(value)) return []
  const errors = (validate.errors ?? []).filter((e) => e.keyword !== 'if')
  // A mistyped field first: what is said to be missing is often what was mistyped.
  const isUnknown = ({ message }: Violation) => message.startsWith('unknown field')
  const found = errors.map(toViolation).sort((a, b) => Number(isUnknown(b)) - Number(isUnknown(a)))
  const seen = new Set<string>()
  return found.filter(({ path, message }) => {
    const key = `${path.join('/')} ${message}`
    return !seen.has(key) && seen.add(key)
  })
}

/** Throws the violations as one error: the first in words, with file and line, the others in `details`. */
export function throwViolations(
  found: readonly Violation[],
  what: string,
  source: { file: string; document: YamlDocument; prefix?: string },
): void {
  const [first, ...others] = found
  if (!first) return
  const lines = found.map(({ path, message, hint }) => {
    const { line } = source.document.position(path)
    return `${source.file}:${line}: ${message}${hint === undefined ? '' : ` (${hint})`}`
  })
  const { line, column } = source.document.position(first.path)
  const path = [source.prefix, pathText(first.path)].filter((part) => part).join(' → ')
  throw new BerthError(
    'INVALID',
    `Cannot use ${what}: ${first.message}${others.length === 0 ? '' : `, and ${others.length} more`}`,
    {
      where: { file: source.file, line, column, ...(path ? { path } : {}) },
      ...(first.hint === undefined ? {} : { hint: first.hint }),
      details: { violations: lines },
    },
  )
}

/** `spec.services.web.ports[0]`. */
function pathText(path: YamlPath): string {
  return path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`),
    '',
  )
}

function toViolation(error: ErrorObject): Violation {
  const path = pointerPath(error.instancePath)
  const name = path.length === 0 ? 'the document' : `"${pathText(path)}"`
  const { keyword, params } = error
  if (keyword === 'additionalProperties' || keyword === 'unevaluatedProperties') {
    const field = String(params.additionalProperty ?? params.unevaluatedProperty)
    const known = Object.keys((error.parentSchema as { properties?: object }).properties ?? {})
    const near = suggest(field, known)
    return {
      path: [...path, field],
      message: `unknown field "${pathText([...path, field])}"`,
      hint: near ? `did you mean "${near}"?` : `known here: ${known.join(', ')}`,
    }
  }
  if (keyword === 'required')
    return { path, message: `"${pathText([...path, String(params.missingProperty)])}" is missing` }
  if (keyword === 'propertyNames' || error.propertyName !== undefined)
    return {
      path: [...path, String(params.propertyName ?? error.propertyName)],
      message: `the name "${params.propertyName ?? error.propertyName}" is not allowed in ${name}`,
      hint: 'names are lower-case letters, digits and "-", and begin with a letter',
    }
  const is = show(error.data)
  if (keyword === 'type')
    return { path, message: `${name} is ${is}, should be ${[params.type].flat().join(' or ')}` }
  if (keyword === 'enum' || keyword === 'const') {
    const allowed: unknown[] = params.allowedValues ?? [params.allowedValue]
    const near = typeof error.data === 'string' ? suggest(error.data, allowed.map(String)) : undefined
    return {
      path,
      message: `${name} is ${is}, should be ${allowed.map((v) => JSON.stringify(v)).join(' or ')}`,
      ...(near ? { hint: `did you mean "${near}"?` } : {}),
    }
  }
  if (keyword === 'pattern') {
    const schema = error.parentSchema as { description?: string }
    return { path, message: `${name} is ${is}, should be ${schema.description ?? `like ${params.pattern}`}` }
  }
  return { path, message: `${name} is ${is}: it ${error.message ?? 'is not valid'}` }
}

function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (value !== null && typeof value === 'object') return 'a map'
  const text = JSON.stringify(value) ?? 'missing'
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}

/** A JSON pointer as steps; what looks like an index becomes one. */
function pointerPath(pointer: string): YamlPath {
  return pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((step) => (/^(0|[1-9]\d*)$/.test(step) ? Number(step) : step))
}
