import { BerthError } from '../engine/base/error.ts'
import { suggest } from '../engine/base/suggest.ts'

/**
 * Docker's `--format`: the part of Go's templates that people use there. Fields (`.State.Status`), `$` and variables,
 * `range`, `if`, `with`, `else`, `index`, `json`, `join`, `upper`, `lower`, `title`, `len`, `println`, `printf` with
 * %s %d %v %q, `eq ne and or not`, pipes, trimming dashes. https://docs.docker.com/engine/cli/formatting/
 * With `fields`, the value has these and no others: one that is not among them is an error, and not `<no value>`.
 */
export function compileFormat(template: string, fields?: readonly string[]): (value: unknown) => string {
  const tokens = tokenize(template)
  const { nodes } = parse(tokens, 0)
  return (value) => run(nodes, { dot: value, root: value, vars: new Map(), fields })
}

type Token = { readonly text: string } | { readonly action: string }
type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'pipe'; readonly source: string }
  | {
      readonly kind: 'range' | 'if' | 'with'
      readonly source: string
      readonly body: Node[]
      readonly other: Node[]
    }

interface Scope {
  readonly dot: unknown
  readonly root: unknown
  readonly vars: ReadonlyMap<string, unknown>
  /** Of the root. */
  readonly fields: readonly string[] | undefined
}

function wrong(message: string): BerthError {
  return new BerthError('USAGE', `Cannot read the template of --format: ${message}`, {
    hint: "write a Go template such as '{{.State.Status}}' or '{{json .Config}}'",
  })
}

function tokenize(template: string): Token[] {
  const tokens: Token[] = []
  const pattern = /\{\{(- )?((?:"(?:\\.|[^"\\])*"|`[^`]*`|[^}]|\}(?!\}))*?)( -)?\}\}/g
  let at = 0
  let trimNext = false
  const push = (text: string) => {
    if (text !== '') tokens.push({ text })
  }
  for (const match of template.matchAll(pattern)) {
    let text = template.slice(at, match.index)
    if (trimNext) text = text.trimStart()
    if (match[1]) text = text.trimEnd()
    push(text)
    const action = (match[2] ?? '').trim()
    if (!action.startsWith('/*')) tokens.push({ action })
    trimNext = match[3] !== undefined
    at = match.index + match[0].length
  }
  const rest = template.slice(at)
  if (rest.includes('{{')) throw wrong('an action is not closed')
  push(trimNext ? rest.trimStart() : rest)
  return tokens
}

interface Parsed {
  readonly nodes: Node[]
  readonly next: number
  /** What ended it: `end`, `else`, `else if X`, or nothing at the end of the template. */
  readonly closed: string
}

/** Nodes up to the `end` or `else` that closes them; `next` is behind that. */
function parse(tokens: readonly Token[], from: number, inside = false): Parsed {
  const nodes: Node[] = []
  for (let i = from; i < tokens.length; ) {
    const token = tokens[i]
    if (!token) break
    const word = 'text' in token ? '' : (/^(end|else|range|if|with)\b/.exec(token.action)?.[0] ?? '')
    if (word === 'end' || word === 'else') {
      if (!inside) throw wrong(`unexpected {{${word}}}`)
      return { nodes, next: i + 1, closed: 'action' in token ? token.action : word }
    }
    if (word !== '') {
      const block = parseBlock(tokens, i)
      nodes.push(block.node)
      i = block.next
    } else {
      nodes.push(
        'text' in token ? { kind: 'text', text: token.text } : { kind: 'pipe', source: token.action },
      )
      i++
    }
  }
  if (inside) throw wrong('an {{end}} is missing')
  return { nodes, next: tokens.length, closed: '' }
}

/** A `range`, `if` or `with` and everything up to its `end`. `{{else if X}}` is an `if` inside that shares the end. */
function parseBlock(tokens: readonly Token[], at: number): { node: Node; next: number } {
  const token = tokens[at]
  const action = token && 'action' in token ? token.action : ''
  const [kind = '', source = ''] = action.split(/\s+([\s\S]*)/)
  if (kind !== 'range' && kind !== 'if' && kind !== 'with') throw wrong(`unexpected {{${action}}}`)
  const body = parse(tokens, at + 1, true)
  const chained = body.closed.replace(/^else\s*/, '')
  if (body.closed !== 'end' && chained !== '') {
    const rest = parseBlock([{ action: chained }, ...tokens.slice(body.next)], 0)
    const next = body.next + rest.next - 1
    return { node: { kind, source, body: body.nodes, other: [rest.node] }, next }
  }
  const other = body.closed === 'end' ? { nodes: [], next: body.next } : parse(tokens, body.next, true)
  return { node: { kind, source, body: body.nodes, other: other.nodes }, next: other.next }
}

function run(nodes: readonly Node[], scope: Scope): string {
  let out = ''
  let current = scope
  for (const node of nodes) {
    if (node.kind === 'text') out += node.text
    else if (node.kind === 'pipe') {
      const assigned = /^\$(\w+)\s*:?=\s*([\s\S]*)$/.exec(node.source)
      if (assigned) {
        const value = pipeline(assigned[2] ?? '', current)
        current = { ...current, vars: new Map(current.vars).set(assigned[1] ?? '', value) }
      } else out += show(pipeline(node.source, current))
    } else if (node.kind === 'range') out += runRange(node, current)
    else {
      const value = pipeline(node.source, current)
      const inner = node.kind === 'with' && truth(value) ? { ...current, dot: value } : current
      out += run(truth(value) ? node.body : node.other, inner)
    }
  }
  return out
}

function runRange(node: Node & { kind: 'range' | 'if' | 'with' }, scope: Scope): string {
  const named = /^\$(\w+)(?:\s*,\s*\$(\w+))?\s*:=\s*([\s\S]*)$/.exec(node.source)
  const value = pipeline(named?.[3] ?? node.source, scope)
  // Go ranges over a map in the order of its keys.
  const entries: [unknown, unknown][] = Array.isArray(value)
    ? value.map((item, i) => [i, item])
    : Object.entries((value ?? {}) as object).sort(([a], [b]) => (a < b ? -1 : 1))
  if (entries.length === 0) return run(node.other, scope)
  return entries
    .map(([key, item]) => {
      const vars = new Map(scope.vars)
      if (named?.[2]) vars.set(named[1] ?? '', key).set(named[2], item)
      else if (named) vars.set(named[1] ?? '', item)
      return run(node.body, { ...scope, dot: item, vars })
    })
    .join('')
}

function pipeline(source: string, scope: Scope): unknown {
  const stages = split(source, '|')
  let value: unknown
  stages.forEach((stage, i) => {
    const words = split(stage.trim(), ' ').filter((word) => word !== '')
    value = call(words, scope, i === 0 ? [] : [value])
  })
  return value
}

/** Splits outside of quotes and parentheses. */
function split(source: string, by: string): string[] {
  const parts = ['']
  let depth = 0
  for (const match of source.matchAll(/"(?:\\.|[^"\\])*"|`[^`]*`|[\s\S]/g)) {
    const piece = match[0]
    if (piece === '(') depth++
    if (piece === ')') depth--
    if (depth === 0 && (piece === by || (by === ' ' && /^\s$/.test(piece)))) parts.push('')
    else parts[parts.length - 1] += piece
  }
  return parts
}

function call(words: readonly string[], scope: Scope, piped: readonly unknown[]): unknown {
  const [first = '', ...rest] = words
  const fn = functions[first]
  if (fn) return fn(...rest.map((word) => operand(word, scope)), ...piped)
  if (rest.length > 0 || piped.length > 0) throw wrong(`function "${first}" not defined`)
  return operand(first, scope)
}

function operand(word: string, scope: Scope): unknown {
  const grouped = /^\(([\s\S]*)\)((?:\.\w+)*)$/.exec(word)
  if (grouped) return field(pipeline(grouped[1] ?? '', scope), grouped[2] ?? '')
  if (word.startsWith('"')) return JSON.parse(word)
  if (word.startsWith('`')) return word.slice(1, -1)
  if (/^-?\d+(\.\d+)?$/.test(word)) return Number(word)
  if (word === 'true' || word === 'false') return word === 'true'
  if (word === 'nil') return null
  if (word === '.') return scope.dot
  if (word.startsWith('$')) {
    const [, name = '', path = ''] = /^\$(\w*)([\s\S]*)$/.exec(word) ?? []
    if (name !== '' && !scope.vars.has(name)) throw wrong(`undefined variable "$${name}"`)
    if (name === '') checkField(path, scope)
    return field(name === '' ? scope.root : scope.vars.get(name), path)
  }
  if (word.startsWith('.')) {
    if (scope.dot === scope.root) checkField(word, scope)
    return field(scope.dot, word)
  }
  throw wrong(`function "${word}" not defined`)
}

function checkField(path: string, { fields }: Scope): void {
  const name = path.split('.')[1]
  if (!fields || !name || fields.includes(name)) return
  const near = suggest(name, fields)
  throw new BerthError('USAGE', `Cannot read the template of --format: no field "${name}"`, {
    hint: near ? `did you mean ".${near}"?` : `there are ${fields.join(', ')}`,
  })
}

function field(value: unknown, path: string): unknown {
  let at = value
  for (const name of path.split('.').filter((s) => s !== '')) {
    if (at === null || at === undefined) return undefined
    const object = at as Record<string, unknown>
    if (typeof at !== 'object')
      throw new BerthError('NOT_FOUND', `Cannot follow "${path}": ".${name}" has no field here`)
    at = Object.hasOwn(object, name) ? object[name] : undefined
  }
  return at
}

function truth(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (value !== null && typeof value === 'object') return Object.keys(value).length > 0
  return Boolean(value)
}

/** As fmt.Print shows it: maps as `map[k:v]`, lists as `[a b]`, nothing as `<no value>`. */
function show(value: unknown): string {
  if (value === undefined) return '<no value>'
  if (value === null) return '<nil>'
  if (Array.isArray(value)) return `[${value.map(show).join(' ')}]`
  if (typeof value === 'object') {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
    return `map[${entries.map(([k, v]) => `${k}:${show(v)}`).join(' ')}]`
  }
  return String(value)
}

const functions: Readonly<Record<string, (...args: unknown[]) => unknown>> = {
  json: (value) => JSON.stringify(value ?? null),
  index: (value, ...keys) =>
    keys.reduce((at, key) => (at as Record<string, unknown> | null | undefined)?.[String(key)], value) ?? '',
  join: (items, by) => ((items ?? []) as unknown[]).map(show).join(String(by)),
  split: (text, by) => String(text).split(String(by)),
  upper: (text) => String(text).toUpperCase(),
  lower: (text) => String(text).toLowerCase(),
  title: (text) => String(text).replace(/\b\w/g, (c) => c.toUpperCase()),
  len: (value) =>
    typeof value === 'string' ? Buffer.byteLength(value) : Object.keys((value ?? {}) as object).length,
  print: (...args) => args.map(show).join(' '),
  println: (...args) => `${args.map(show).join(' ')}\n`,
  printf: (format, ...args) => {
    let i = 0
    return String(format).replace(/%[-+ 0-9.]*([sdvqf%])/g, (_, verb) =>
      verb === '%' ? '%' : verb === 'q' ? JSON.stringify(show(args[i++])) : show(args[i++]),
    )
  },
  eq: (a, ...others) => others.some((b) => a === b),
  ne: (a, b) => a !== b,
  not: (value) => !truth(value),
  and: (...args) => args.find((a) => !truth(a)) ?? args.at(-1),
  or: (...args) => args.find(truth) ?? args.at(-1),
}
