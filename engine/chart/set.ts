import { BerthError } from '../base/error.ts'
import type { Values } from './chart.ts'

/** How the right side of `key=value` is read: guessed, text, JSON, a file's content, or the rest literally. */
export type SetKind = 'set' | 'set-string' | 'set-json' | 'set-file' | 'set-literal'

const maxIndex = 65_536
const maxDepth = 30

type Tree = Record<string, unknown>

/** The end of the text at a place where nothing need follow. */
const ended = Symbol('ended')

/**
 * Reads `name1=value1,name2.x[0]=value2` into `target`, with Helm's grammar: `\` escapes, `{a,b}` lists, `[n]`
 * indices, several pairs with commas. `readFile` serves `set-file`. Throws `INVALID` with Helm's words.
 */
export function applySet(
  text: string,
  target: Values,
  options: { kind: SetKind; readFile?: (path: string) => string },
): Values {
  const tree = structuredClone(target) as Tree
  if (options.kind === 'set-json' && text.trimStart().startsWith('{')) return mergeJson(text, tree)
  try {
    const parser = new SetParser(text, options.kind, options.readFile ?? (() => ''))
    parser.all(tree)
  } catch (error) {
    if (!(error instanceof SetError)) throw error
    throw new BerthError(
      'INVALID',
      error.message === ''
        ? `failed parsing --${options.kind} data ${text}`
        : `failed parsing --${options.kind} data: ${error.message}`,
      {
        details: { text },
      },
    )
  }
  return tree
}

function mergeJson(text: string, tree: Tree): Values {
  try {
    return { ...tree, ...(JSON.parse(text) as Tree) }
  } catch (error) {
    throw new BerthError('INVALID', `failed parsing --set-json data JSON: ${text}`, { cause: error })
  }
}

/** What is wrong in one text; without a message the whole text is. */
class SetError extends Error {}

/** A recursive descent over the characters of one `--set`. */
class SetParser {
  readonly #text: readonly string[]
  readonly #kind: SetKind
  readonly #readFile: (path: string) => string
  #at = 0

  constructor(text: string, kind: SetKind, readFile: (path: string) => string) {
    this.#text = [...text]
    this.#kind = kind
    this.#readFile = readFile
  }

  all(tree: Tree): void {
    while (this.#key(tree, 0) !== ended);
  }

  /** One `key…=value`; `ended` when the text ends with it or before it. */
  #key(tree: Tree, depth: number): typeof ended | undefined {
    const { word, stop } = this.#until(this.#kind === 'set-literal' ? '=[.' : '=[,.')
    switch (stop) {
      case undefined:
        if (word === '') return ended
        throw new SetError(`key "${word}" has no value`)
      case '[': {
        const index = this.#index()
        const before = tree[word]
        if (Object.hasOwn(tree, word) && !Array.isArray(before))
          throw new SetError(
            `unable to parse key: interface conversion: interface {} is ${goType(before)}, not []interface {}`,
          )
        const list = Array.isArray(before) ? before : []
        const end = this.#item(list, index, depth)
        put(tree, word, list)
        return end
      }
      case '=': {
        const { value, end } = this.#value()
        put(tree, word, value)
        return end
      }
      case ',':
        put(tree, word, '')
        throw new SetError(`key "${word}" has no value (cannot end with ,)`)
      default: {
        if (depth + 1 > maxDepth)
          throw new SetError(
            `value name nested level is greater than maximum supported nested level of ${maxDepth}`,
          )
        const before = Object.hasOwn(tree, word) ? tree[word] : {}
        if (!isTree(before))
          throw new SetError(
            `unable to parse key: interface conversion: interface {} is ${goType(before)}, not map[string]interface {}`,
          )
        const end = this.#key(before, depth + 1)
        if (Object.keys(before).length === 0) {
          if (end === ended) return end
          throw new SetError(`key map "${word}" has no value`)
        }
        put(tree, word, before)
        return end
      }
    }
  }

  /** What follows `[index]`. */
  #item(list: unknown[], index: number, depth: number): typeof ended | undefined {
    if (index < 0) throw new SetError(`negative ${index} index not allowed`)
    const { word, stop } = this.#until('[.=')
    if (word !== '')
      throw new SetError(
        `unexpected data at end of array index: [${[...word].map((c) => `'${c}'`).join(' ')}]`,
      )
    if (stop === undefined) return ended
    if (index > maxIndex)
      throw new SetError(`index of ${index} is greater than maximum supported index of ${maxIndex}`)
    const write = (value: unknown) => {
      while (list.length < index) list.push(null)
      list[index] = value
    }
    if (stop === '=') {
      const { value, end } = this.#value()
      write(value)
      return end
    }
    if (stop === '[') {
      const next = this.#index()
      const inner = Array.isArray(list[index]) ? (list[index] as unknown[]) : []
      const end = this.#item(inner, next, depth)
      write(inner)
      return end
    }
    const inner = isTree(list[index]) ? (list[index] as Tree) : {}
    const end = this.#key(inner, depth)
    write(inner)
    return end
  }

  #index(): number {
    const { word, stop } = this.#until(']')
    if (stop === undefined) throw new SetError('error parsing index: EOF')
    if (!/^[+-]?\d+$/.test(word))
      throw new SetError(`error parsing index: strconv.Atoi: parsing "${word}": invalid syntax`)
    return Number(word)
  }

  #value(): { value: unknown; end: typeof ended | undefined } {
    if (this.#kind === 'set-literal') {
      const value = this.#text.slice(this.#at).join('')
      this.#at = this.#text.length
      return { value, end: ended }
    }
    if (this.#kind === 'set-json') return this.#json()
    if (this.#at >= this.#text.length) return { value: '', end: ended }
    if (this.#text[this.#at] === '{') {
      this.#at++
      return { value: this.#list(), end: undefined }
    }
    const { word } = this.#until(',')
    return { value: this.#typed(word), end: undefined }
  }

  #list(): unknown[] {
    const list: unknown[] = []
    for (;;) {
      const { word, stop } = this.#until(',}')
      if (stop === undefined) throw new SetError("list must terminate with '}'")
      list.push(this.#typed(word))
      if (stop === '}') {
        if (this.#text[this.#at] === ',') this.#at++
        return list
      }
    }
  }

  #json(): { value: unknown; end: undefined } {
    if (this.#skipBlank()) return { value: null, end: undefined }
    const rest = this.#text.slice(this.#at)
    const length = jsonLength(rest.join(''))
    if (length === undefined) throw new SetError(undefined)
    const taken = rest.join('').slice(0, length)
    this.#at += [...taken].length
    this.#skipBlank()
    return { value: JSON.parse(taken), end: undefined }
  }

  /** Skips blanks and one comma; true when nothing but that was left. */
  #skipBlank(): boolean {
    while (this.#at < this.#text.length) {
      const character = this.#text[this.#at] ?? ''
      if (character !== ',' && !/\s/.test(character)) return false
      this.#at++
      if (character === ',') return true
    }
    return true
  }

  #until(stops: string): { word: string; stop: string | undefined } {
    let word = ''
    while (this.#at < this.#text.length) {
      const character = this.#text[this.#at++] ?? ''
      if (stops.includes(character)) return { word, stop: character }
      if (character === '\\' && this.#kind !== 'set-literal') {
        if (this.#at >= this.#text.length) break
        word += this.#text[this.#at++]
      } else word += character
    }
    return { word, stop: undefined }
  }

  #typed(word: string): unknown {
    if (this.#kind === 'set-file') return this.#readFile(word)
    if (this.#kind !== 'set') return word
    const lower = word.toLowerCase()
    if (lower === 'true') return true
    if (lower === 'false') return false
    if (lower === 'null') return null
    if (word === '0') return 0
    if (!/^[+-]?[0-9]+$/.test(word) || word.startsWith('0')) return word
    const integer = BigInt(word.replace(/^\+/, ''))
    if (integer > 2n ** 63n - 1n || integer < -(2n ** 63n)) return word
    // An int64 keeps its digits; JavaScript's numbers do so up to 2^53.
    return Number.isSafeInteger(Number(integer)) ? Number(integer) : integer
  }
}

function isTree(value: unknown): value is Tree {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

/** Sets a key; Helm passes over an empty one. */
function put(tree: Tree, key: string, value: unknown): void {
  if (key === '') return
  Object.defineProperty(tree, key, { value, writable: true, enumerable: true, configurable: true })
}

function goType(value: unknown): string {
  if (value === null || value === undefined) return 'nil'
  if (Array.isArray(value)) return '[]interface {}'
  if (typeof value === 'string') return 'string'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'object') return 'map[string]interface {}'
  return Number.isInteger(value) ? 'int64' : 'float64'
}

/** How many characters at the start of a text are one JSON value. */
function jsonLength(text: string): number | undefined {
  const scalar = /^\s*(?:"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null)/.exec(text)
  if (scalar) return scalar[0].length
  let depth = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const character = text[i]
    if (inString) {
      if (character === '\\') i++
      else if (character === '"') inString = false
    } else if (character === '"') inString = true
    else if (character === '{' || character === '[') depth++
    else if (character === '}' || character === ']') {
      depth--
      if (depth === 0) return i + 1
    } else if (depth === 0 && !/\s/.test(character ?? '')) return undefined
  }
  return undefined
}
