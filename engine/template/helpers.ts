import { createHash } from 'node:crypto'
import { BerthError } from '../base/error.ts'
import { writeYaml } from './yaml.ts'

/** What a helper is called with: arguments, named arguments, and for block helpers the block. */
export interface HelperCall {
  readonly args: readonly unknown[]
  readonly hash: Readonly<Record<string, unknown>>
  /** The block of a block helper, rendered with a context. */
  readonly block?: (context: unknown) => string
  readonly context: unknown
}

export type Helper = (call: HelperCall) => unknown

/** Whether a value counts as true, as Go's and Helm's templates have it: empty lists and maps are false. */
function truthy(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (value !== null && typeof value === 'object') return Object.keys(value).length > 0
  return Boolean(value)
}

/** A value as text; maps and lists have none and are an error, so that `[object Object]` never reaches a file. */
export function textOf(value: unknown, name = 'the value'): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'object')
    throw new BerthError(
      'INVALID',
      `Cannot print ${name}: it is a ${Array.isArray(value) ? 'list' : 'map'}`,
      {
        hint: 'write {{yaml … indent=N}} for a block, or {{json …}} on one line',
      },
    )
  return String(value)
}

function indentBy(text: string, width: unknown): string {
  const spaces = ' '.repeat(Math.max(0, Number(width) || 0))
  return text
    .split('\n')
    .map((line) => (line === '' ? line : spaces + line))
    .join('\n')
}

const number = (value: unknown): number => {
  const n = Number(value)
  if (value === null || value === undefined || value === '' || Number.isNaN(n))
    throw new BerthError('INVALID', `Cannot use ${JSON.stringify(value)} as a number`)
  return n
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0
  return number(a) - number(b)
}

function equal(a: unknown, b: unknown): boolean {
  if (a !== null && typeof a === 'object') return JSON.stringify(a) === JSON.stringify(b)
  return a === b || (a === undefined && b === null) || (a === null && b === undefined)
}

function yaml({ args: [value], hash }: HelperCall): string {
  const text = writeYaml(value === undefined ? null : value)
  if (hash.indent === undefined) return text
  if (value === null || typeof value !== 'object' || !truthy(value)) return ` ${text}`
  return `\n${indentBy(text, hash.indent)}`
}

/** The helpers of `.hbs` templates, beside Handlebars' own. `docs/templates.md` documents each. */
export const helpers: Readonly<Record<string, Helper>> = {
  yaml,
  json: ({ args: [value] }) => JSON.stringify(value === undefined ? null : value),
  quote: ({ args: [value] }) => JSON.stringify(textOf(value)),
  squote: ({ args: [value] }) => `'${textOf(value).replaceAll("'", "''")}'`,
  default: ({ args: [value, ...fallbacks] }) => [value, ...fallbacks].find(truthy) ?? fallbacks.at(-1),
  coalesce: ({ args }) => args.find(truthy),
  required: ({ args: [message, value] }) => {
    if (value === undefined || value === null || value === '')
      throw new BerthError('INVALID', textOf(message))
    return value
  },
  fail: ({ args: [message] }) => {
    throw new BerthError('INVALID', textOf(message))
  },
  indent: ({ args: [width, text], block, context }) => indentBy(block ? block(context) : textOf(text), width),
  nindent: ({ args: [width, text], block, context }) =>
    `\n${indentBy(block ? block(context) : textOf(text), width)}`,
  eq: ({ args: [a, ...others] }) => others.some((b) => equal(a, b)),
  ne: ({ args: [a, b] }) => !equal(a, b),
  lt: ({ args: [a, b] }) => compare(a, b) < 0,
  le: ({ args: [a, b] }) => compare(a, b) <= 0,
  gt: ({ args: [a, b] }) => compare(a, b) > 0,
  ge: ({ args: [a, b] }) => compare(a, b) >= 0,
  and: ({ args }) => args.find((value) => !truthy(value)) ?? args.at(-1),
  or: ({ args }) => args.find(truthy) ?? args.at(-1),
  not: ({ args: [value] }) => !truthy(value),
  ternary: ({ args: [yes, no, test] }) => (truthy(test) ? yes : no),
  list: ({ args }) => [...args],
  dict: ({ hash }) => ({ ...hash }),
  concat: ({ args }) => args.map((value) => textOf(value)).join(''),
  join: ({ args: [separator, items] }) =>
    (Array.isArray(items) ? items : [items]).map((item) => textOf(item)).join(textOf(separator)),
  split: ({ args: [separator, text] }) => textOf(text).split(textOf(separator)),
  keys: ({ args: [map] }) => Object.keys((map ?? {}) as object).sort(),
  hasKey: ({ args: [map, key] }) => Object.hasOwn((map ?? {}) as object, textOf(key)),
  contains: ({ args: [part, whole] }) =>
    Array.isArray(whole) ? whole.some((item) => equal(item, part)) : textOf(whole).includes(textOf(part)),
  hasPrefix: ({ args: [prefix, text] }) => textOf(text).startsWith(textOf(prefix)),
  hasSuffix: ({ args: [suffix, text] }) => textOf(text).endsWith(textOf(suffix)),
  upper: ({ args: [text] }) => textOf(text).toUpperCase(),
  lower: ({ args: [text] }) => textOf(text).toLowerCase(),
  trim: ({ args: [text] }) => textOf(text).trim(),
  trunc: ({ args: [length, text] }) => textOf(text).slice(0, number(length)),
  replace: ({ args: [from, to, text] }) => textOf(text).replaceAll(textOf(from), textOf(to)),
  add: ({ args }) => args.reduce<number>((sum, value) => sum + number(value), 0),
  sub: ({ args: [a, b] }) => number(a) - number(b),
  mul: ({ args }) => args.reduce<number>((product, value) => product * number(value), 1),
  len: ({ args: [value] }) =>
    Array.isArray(value) || typeof value === 'string'
      ? value.length
      : Object.keys((value ?? {}) as object).length,
  b64enc: ({ args: [text] }) => Buffer.from(textOf(text)).toString('base64'),
  b64dec: ({ args: [text] }) => Buffer.from(textOf(text), 'base64').toString(),
  sha256: ({ args: [text] }) => createHash('sha256').update(textOf(text)).digest('hex'),
}
