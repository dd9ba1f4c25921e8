import { readFile } from 'node:fs/promises'
import { BerthError, isBerthError, type SourcePosition } from '../../engine/base/error.ts'
import { type Chart, fileText } from '../../engine/chart/chart.ts'
import { readYaml } from '../../engine/template/yaml.ts'
import type { ValueOptions } from './flags.ts'

/**
 * Runs `work`; an error of the chart's schema names the place where the wrong value was written: the flag, the
 * values file with its line, or the chart's own values.yaml.
 */
export async function withValueSource<T>(
  chart: Chart,
  options: ValueOptions,
  work: () => T | Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const path = isBerthError(error, 'INVALID') && error.where?.file.endsWith('values.schema.json')
    if (!path || !isBerthError(error)) throw error
    const fields = (error.where?.path ?? '').split('.').filter((field) => field !== '')
    const where = (await placeOf(fields, chart, options)) ?? error.where
    const { code, message, hint, details, cause } = error
    throw new BerthError(code, message.trimEnd(), {
      ...(where && { where }),
      ...(hint !== undefined && { hint }),
      ...(details && { details }),
      cause,
    })
  }
}

/** The last place that gives a value wins, so it is looked at first. */
async function placeOf(
  fields: readonly string[],
  chart: Chart,
  options: ValueOptions,
): Promise<SourcePosition | undefined> {
  const path = fields.join('.')
  if (path === '') return undefined
  const flag = flagOf(fields, options)
  if (flag !== undefined) return { file: flag, path }
  for (const file of (options.values ?? []).toReversed()) {
    if (file === '-') continue
    const found = placeIn(await readFile(file, 'utf8').catch(() => ''), file, fields)
    if (found) return found
  }
  return placeIn(fileText(chart.raw, 'values.yaml') ?? '', `${chart.origin}/values.yaml`, fields)
}

function flagOf(fields: readonly string[], options: ValueOptions): string | undefined {
  const flags = [
    ...(options.setLiteral ?? []).map((one) => ['--set-literal', one] as const),
    ...(options.setFile ?? []).map((one) => ['--set-file', one] as const),
    ...(options.setString ?? []).map((one) => ['--set-string', one] as const),
    ...(options.set ?? []).map((one) => ['--set', one] as const),
    ...(options.setJson ?? []).map((one) => ['--set-json', one] as const),
  ]
  const path = fields.join('.')
  const names = (text: string) =>
    [...text.matchAll(/(?:^|,)\s*([^=,]+)=/g)].map(([, key = '']) => key.replace(/\[(\d+)\]/g, '.$1'))
  const found = flags.find(([, text]) =>
    names(text).some((key) => key === path || path.startsWith(`${key}.`) || key.startsWith(`${path}.`)),
  )
  return found && `${found[0]} ${found[1]}`
}

function placeIn(text: string, file: string, fields: readonly string[]): SourcePosition | undefined {
  const document = readYaml(text, file).at(-1)
  let value: unknown = document?.value
  for (const field of fields) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, field)) return undefined
    value = (value as Readonly<Record<string, unknown>>)[field]
  }
  const place = document?.position(fields)
  return place && { file, line: place.line, path: fields.join('.') }
}
