import { createHash } from 'node:crypto'
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { Ajv2020 } from 'ajv/dist/2020.js'
import Draft4 from 'ajv-draft-04'
import formats from 'ajv-formats'
import { BerthError, messageOf } from '../base/error.ts'
import type { Chart, Values } from './chart.ts'
import { isMap } from './values.ts'

const compiled = new Map<string, ValidateFunction>()

/**
 * Holds the values of a chart and of its sub-charts against their values.schema.json. Throws `INVALID` naming every
 * wrong value as Helm does.
 */
export function checkSchema(chart: Chart, values: Values): void {
  const wrong = violationsOf(chart, values)
  if (wrong.length === 0) return
  const [first] = wrong
  throw new BerthError(
    'INVALID',
    `values don't meet the specifications of the schema(s) in the following chart(s):\n${wrong
      .map(({ name, lines }) => `${name}:\n${lines.map((line) => `- ${line}`).join('\n')}\n`)
      .join('')}`,
    {
      where: { file: `${first?.origin}/values.schema.json`, ...(first?.path ? { path: first.path } : {}) },
      hint: 'give other values with -f or --set',
    },
  )
}

interface Wrong {
  readonly name: string
  readonly origin: string
  readonly lines: readonly string[]
  readonly path: string
}

function violationsOf(chart: Chart, values: Values): Wrong[] {
  const found: Wrong[] = []
  if (chart.schema) {
    const validate = compile(chart.schema.content, `${chart.origin}/values.schema.json`)
    if (!validate(values)) {
      const errors = leaves(validate.errors ?? [])
      found.push({
        name: chart.metadata.name,
        origin: chart.origin,
        lines: [...new Set(errors.map(describe))],
        path: errors[0]?.instancePath.slice(1).replaceAll('/', '.') ?? '',
      })
    }
  }
  for (const dependency of chart.dependencies) {
    const part = values[dependency.metadata.name]
    if (isMap(part)) found.push(...violationsOf(dependency, part))
  }
  return found
}

function compile(schema: Uint8Array, file: string): ValidateFunction {
  const digest = createHash('sha256').update(schema).digest('hex')
  const known = compiled.get(digest)
  if (known) return known
  try {
    const parsed = JSON.parse(Buffer.from(schema).toString('utf8'))
    const ajv = engineFor(parsed?.$schema)
    formats.default(ajv as never)
    const validate = ajv.compile(parsed)
    compiled.set(digest, validate)
    return validate
  } catch (cause) {
    throw new BerthError('INVALID', `Cannot use "${file}": ${messageOf(cause)}`, { where: { file }, cause })
  }
}

/** The ajv class of a schema's draft; a chart's schema is not held to ajv's strict mode. */
function engineFor(draft: unknown) {
  const options = {
    strict: false,
    allErrors: true,
    logger: false,
    validateSchema: true,
    verbose: true,
  } as const
  const name = typeof draft === 'string' ? draft : ''
  if (name.includes('draft-04')) return new Draft4.default(options)
  if (name.includes('draft-06') || name.includes('draft-07')) {
    const ajv = new Ajv(options)
    // Draft 06 is draft 07 without if, then, else.
    if (name.includes('draft-06'))
      ajv.addMetaSchema({ ...draft7Meta(ajv), $id: 'http://json-schema.org/draft-06/schema' })
    return ajv
  }
  if (name.includes('2019-09')) return new Ajv2019(options)
  return new Ajv2020(options)
}

function draft7Meta(ajv: Ajv) {
  return ajv.getSchema('http://json-schema.org/draft-07/schema')?.schema as object
}

/** Errors that say something: not those of a combinator beside its branches' own. */
function leaves(errors: readonly ErrorObject[]): readonly ErrorObject[] {
  const plain = errors.filter(({ keyword }) => !['if', 'anyOf', 'oneOf', 'allOf'].includes(keyword))
  return plain.length > 0 ? plain : errors
}

function typeName(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

function describe({ instancePath, keyword, params, message, data }: ErrorObject): string {
  const at = `at '${instancePath}'`
  const quoted = (names: readonly unknown[]) => names.map((name) => `'${name}'`).join(', ')
  if (keyword === 'required') return `${at}: missing property '${params.missingProperty}'`
  if (keyword === 'additionalProperties')
    return `${at}: additional properties '${params.additionalProperty}' not allowed`
  if (keyword === 'enum') return `${at}: value must be one of ${quoted(params.allowedValues)}`
  if (keyword === 'minimum' || keyword === 'maximum')
    return `${at}: ${keyword}: got ${data}, want ${params.limit}`
  if (keyword === 'type')
    return `${at}: got ${typeName(data)}, want ${[params.type].flat().toSorted().join(' or ')}`
  return `${at}: ${message ?? 'is not valid'}`
}
