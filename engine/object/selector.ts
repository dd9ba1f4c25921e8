import { BerthError } from '../base/error.ts'
import type { LabelSelector } from './types.generated.ts'

export type Labels = Readonly<Record<string, string>>

/** One demand on labels; a selector is a list of them that must all hold. */
export interface Requirement {
  readonly key: string
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt'
  readonly values: readonly string[]
}

/** Whether labels meet every requirement; no requirement is met by all. */
export function matches(requirements: readonly Requirement[], labels: Labels | undefined): boolean {
  return requirements.every((requirement) => holds(requirement, labels ?? {}))
}

function holds({ key, operator, values }: Requirement, labels: Labels): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
    case 'Gt':
      return value !== undefined && Number(value) > Number(values[0])
    case 'Lt':
      return value !== undefined && Number(value) < Number(values[0])
  }
}

/** The requirements of an object's `spec.selector`. An absent selector selects nothing, an empty one everything. */
function requirementsOf(selector: LabelSelector | undefined): readonly Requirement[] {
  if (!selector) return [{ key: '', operator: 'In', values: [] }]
  return [
    ...Object.entries(selector.matchLabels ?? {}).map(
      ([key, value]): Requirement => ({ key, operator: 'In', values: [value] }),
    ),
    ...(selector.matchExpressions ?? []).map(
      ({ key, operator, values = [] }): Requirement => ({
        key,
        operator: operator as Requirement['operator'],
        values,
      }),
    ),
  ]
}

/** Whether an object's selector selects these labels. */
export function selects(selector: LabelSelector | undefined, labels: Labels | undefined): boolean {
  return matches(requirementsOf(selector), labels)
}

/** A Service's plain selector; an absent or empty one selects nothing. */
export function selectsPlain(selector: Labels | undefined, labels: Labels | undefined): boolean {
  const wanted = Object.entries(selector ?? {})
  return wanted.length > 0 && wanted.every(([key, value]) => labels?.[key] === value)
}

/** A selector's text as kubectl prints it: `app=web,tier in (a,b),!old`; `<none>` when it is empty. */
export function selectorText(selector: LabelSelector | undefined): string {
  const parts = requirementsOf(selector).map(({ key, operator, values }) => {
    const set = `(${[...values].sort().join(',')})`
    if (operator === 'In') return values.length === 1 ? `${key}=${values[0]}` : `${key} in ${set}`
    if (operator === 'NotIn') return `${key} notin ${set}`
    return operator === 'DoesNotExist' ? `!${key}` : key
  })
  return selector && parts.length > 0 ? parts.sort().join(',') : '<none>'
}

const token = /\s*(\(|\)|,|!=|==|=|!|<|>|[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?)\s*/y

/** Reads a `labelSelector` query: `app=web,tier in (a,b),env!=prod,!old,new,size>3`. Throws `INVALID`. */
export function parseSelector(text: string): readonly Requirement[] {
  const tokens = tokenize(text)
  const requirements: Requirement[] = []
  let i = 0
  const fail = (): never => {
    throw new BerthError('INVALID', `unable to parse requirement: found '${tokens[i] ?? ''}' in "${text}"`)
  }
  const word = (): string => {
    const next = tokens[i]
    if (next === undefined || !/^[A-Za-z0-9]/.test(next)) return fail()
    i++
    return next
  }
  const list = (): string[] => {
    if (tokens[i] !== '(') fail()
    const values: string[] = []
    do {
      i++
      values.push(tokens[i] === ',' || tokens[i] === ')' ? '' : word())
    } while (tokens[i] === ',')
    if (tokens[i] !== ')') fail()
    i++
    return values
  }
  while (i < tokens.length) {
    if (tokens[i] === '!') {
      i++
      requirements.push({ key: word(), operator: 'DoesNotExist', values: [] })
    } else {
      const key = word()
      const operator = tokens[i]
      if (operator === undefined || operator === ',')
        requirements.push({ key, operator: 'Exists', values: [] })
      else {
        i++
        const value = () => (tokens[i] === undefined || tokens[i] === ',' ? '' : word())
        if (operator === '=' || operator === '==')
          requirements.push({ key, operator: 'In', values: [value()] })
        else if (operator === '!=') requirements.push({ key, operator: 'NotIn', values: [value()] })
        else if (operator === '>') requirements.push({ key, operator: 'Gt', values: [word()] })
        else if (operator === '<') requirements.push({ key, operator: 'Lt', values: [word()] })
        else if (operator === 'in') requirements.push({ key, operator: 'In', values: list() })
        else if (operator === 'notin') requirements.push({ key, operator: 'NotIn', values: list() })
        else fail()
      }
    }
    if (i < tokens.length) {
      if (tokens[i] !== ',') fail()
      i++
      if (i === tokens.length) fail()
    }
  }
  return requirements
}

function tokenize(text: string): string[] {
  const tokens: string[] = []
  token.lastIndex = 0
  while (token.lastIndex < text.length) {
    const at = token.lastIndex
    const match = token.exec(text)
    if (!match?.[1]) {
      if (text.slice(at).trim() === '') break
      throw new BerthError(
        'INVALID',
        `unable to parse requirement: unexpected "${text.slice(at)}" in "${text}"`,
      )
    }
    tokens.push(match[1])
  }
  return tokens
}
