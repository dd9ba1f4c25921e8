import Handlebars from 'handlebars'
import { BerthError, isBerthError, messageOf, type SourcePosition } from '../base/error.ts'
import { suggest } from '../base/suggest.ts'
import { type Helper, helpers, textOf } from './helpers.ts'
import { addLineMarks, takeLineMarks } from './marks.ts'

/** A source of `.hbs` text. `file` is its path as a person knows it, used in errors. */
export interface TemplateSource {
  readonly file: string
  readonly text: string
}

/** Rendered text and, for each of its lines, the line (from 1) of the template that wrote it. */
export interface RenderedText {
  readonly text: string
  readonly lines: readonly number[]
}

interface Location {
  readonly source?: string
  readonly start: { readonly line: number; readonly column: number }
}

/** A helper of Handlebars' own that prints a path, put in place of `{{path}}` to say where a value is missing. */
const printName = 'berth:print'
const builtIn = ['if', 'unless', 'each', 'with', 'lookup', 'log']
const contextNames = ['Values', 'Release', 'Chart', 'Capabilities', 'Template', 'Files']

/**
 * Renders Handlebars templates: HTML escaping off, prototype access off, partials by name, and an error with file,
 * line and column for what is not known. One engine serves all templates of one chart.
 */
export class HandlebarsEngine {
  readonly #handlebars = Handlebars.create()
  readonly #partials = new Map<string, Handlebars.TemplateDelegate>()
  readonly #names: readonly string[]
  readonly #known = new Set([...builtIn, ...Object.keys(helpers), 'include', 'file'])

  /** Partials by name, and the chart's files for `{{file}}`. */
  constructor(partials: ReadonlyMap<string, TemplateSource>, files: (name: string) => string | undefined) {
    this.#names = [...partials.keys()]
    for (const [name, helper] of Object.entries(helpers)) this.#register(name, helper)
    this.#register('file', ({ args: [name] }) => {
      const text = files(textOf(name))
      if (text === undefined) throw new BerthError('INVALID', `The chart has no file "${textOf(name)}"`)
      return text
    })
    this.#register('include', ({ args: [name, given], context }) =>
      this.#include(textOf(name), given ?? context),
    )
    this.#register(printName, ({ args: [value, name] }) => {
      if (value === undefined)
        throw new BerthError('INVALID', `"${name}" is not set`, {
          hint: `set it in values.yaml, or write {{default ${name} "…"}}`,
        })
      return textOf(value, `"${name}"`)
    })
    for (const [name, source] of partials) {
      const template = this.#compile(source, false)
      this.#partials.set(name, template)
      this.#handlebars.registerPartial(name, template)
    }
  }

  /** Renders one template with its context. Throws `INVALID` with the template's file, line and column. */
  render(source: TemplateSource, context: unknown): RenderedText {
    const template = this.#compile(source, true)
    try {
      return takeLineMarks(template(context))
    } catch (error) {
      if (isBerthError(error)) throw error
      throw new BerthError('INVALID', `Cannot render "${source.file}": ${messageOf(error)}`, {
        where: whereOf(source.file, error),
        cause: error,
      })
    }
  }

  #include(name: string, context: unknown): string {
    const partial = this.#partials.get(name)
    if (partial) return partial(context).replace(/\n$/, '')
    throw this.#noPartial(name)
  }

  #noPartial(name: string, where?: SourcePosition): BerthError {
    const near = suggest(name, this.#names)
    return new BerthError('INVALID', `There is no partial "${name}"`, {
      hint: near ? `did you mean "${near}"?` : `a partial "${name}" is the file templates/_${name}.hbs`,
      ...(where ? { where } : {}),
    })
  }

  #compile(source: TemplateSource, marks: boolean): Handlebars.TemplateDelegate {
    let tree: hbs.AST.Program
    try {
      tree = this.#handlebars.parse(source.text, { srcName: source.file })
    } catch (error) {
      const [first = '', ...others] = (error instanceof Error ? error.message : String(error)).split('\n')
      const line = /on line (\d+)/.exec(first)?.[1]
      const message = others.at(-1) ?? first
      throw new BerthError('INVALID', `Cannot parse "${source.file}": ${message}`, {
        where: { file: source.file, ...(line ? { line: Number(line) } : whereOf(source.file, error)) },
        ...(message.includes("got 'CLOSE_UNESCAPED'")
          ? { hint: 'a "}" that follows "}}" belongs to it: write a space between them' }
          : {}),
      })
    }
    this.#check(tree, source.file, 0)
    if (marks) addLineMarks(tree)
    // precompile takes a tree too; its types only know text
    const code = this.#handlebars.precompile(tree, { noEscape: true, srcName: undefined } as never) as
      | string
      | { code: string }
    const specification = new Function(`return ${typeof code === 'string' ? code : code.code}`)()
    return this.#handlebars.template(specification)
  }

  /** Names every unknown helper and top-level name before anything is rendered, and sets `printName` in. */
  #check(program: hbs.AST.Program, file: string, depth: number): void {
    for (const statement of program.body) {
      if (statement.type === 'MustacheStatement')
        this.#checkMustache(statement as hbs.AST.MustacheStatement, file, depth)
      else if (statement.type === 'BlockStatement') {
        const block = statement as hbs.AST.BlockStatement
        const name = block.path.original
        if (block.params.length > 0) this.#checkHelper(block.path, file)
        this.#checkParams(block, file)
        const inner = name === 'if' || name === 'unless' ? depth : depth + 1
        if (block.program) this.#check(block.program, file, inner)
        if (block.inverse) this.#check(block.inverse, file, depth)
      } else if (statement.type === 'PartialStatement') {
        const { name } = statement as hbs.AST.PartialStatement
        if (
          name.type === 'PathExpression' &&
          !this.#names.includes((name as hbs.AST.PathExpression).original)
        )
          throw this.#noPartial((name as hbs.AST.PathExpression).original, at(file, statement.loc))
      } else if (statement.type === 'PartialBlockStatement' || statement.type === 'DecoratorBlock') {
        this.#check((statement as hbs.AST.PartialBlockStatement).program, file, depth + 1)
      }
    }
  }

  #checkMustache(statement: hbs.AST.MustacheStatement, file: string, depth: number): void {
    this.#checkParams(statement, file)
    if (statement.path.type !== 'PathExpression') return
    const path = statement.path as hbs.AST.PathExpression
    const isCall = statement.params.length > 0 || (statement.hash !== undefined && statement.hash !== null)
    if (isCall || (path.parts.length === 1 && this.#known.has(path.original) && !path.data)) {
      this.#checkHelper(path, file)
      return
    }
    const [first] = path.parts
    if (
      depth === 0 &&
      !path.data &&
      path.depth === 0 &&
      first !== undefined &&
      !contextNames.includes(first)
    ) {
      const near = suggest(first, [...contextNames, ...this.#known])
      throw new BerthError('INVALID', `Cannot render "${file}": "${path.original}" is not known`, {
        where: at(file, path.loc),
        hint: near ? `did you mean "${near}"?` : `a template sees ${contextNames.join(', ')}`,
      })
    }
    statement.params = [
      path,
      { type: 'StringLiteral', value: path.original, original: path.original, loc: path.loc } as never,
    ]
    statement.path = { ...path, original: printName, parts: [printName], depth: 0, data: false } as never
  }

  #checkParams(call: { params: hbs.AST.Expression[]; hash?: hbs.AST.Hash }, file: string): void {
    for (const value of [...call.params, ...(call.hash?.pairs ?? []).map((pair) => pair.value)]) {
      if (value.type !== 'SubExpression') continue
      const inner = value as hbs.AST.SubExpression
      this.#checkHelper(inner.path as hbs.AST.PathExpression, file)
      this.#checkParams(inner, file)
    }
  }

  #checkHelper(path: hbs.AST.PathExpression, file: string): void {
    if (this.#known.has(path.original)) return
    const near = suggest(path.original, this.#known)
    throw new BerthError('INVALID', `Cannot render "${file}": there is no helper "${path.original}"`, {
      where: at(file, path.loc),
      hint: near ? `did you mean "${near}"?` : 'docs/templates.md lists the helpers',
    })
  }

  #register(name: string, helper: Helper): void {
    this.#handlebars.registerHelper(name, function (this: unknown, ...given: unknown[]) {
      const options = given.pop() as Handlebars.HelperOptions & { loc?: Location; data?: { file?: string } }
      try {
        return helper({
          args: given,
          hash: options.hash,
          context: this,
          ...(options.fn ? { block: options.fn } : {}),
        })
      } catch (error) {
        if (!isBerthError(error) || error.where !== undefined || !options.loc) throw error
        const file = options.loc.source ?? ''
        throw new BerthError('INVALID', `Cannot render "${file}": ${error.message}`, {
          where: at(file, options.loc),
          ...(error.hint === undefined ? {} : { hint: error.hint }),
        })
      }
    })
  }
}

function at(file: string, location: Location) {
  return { file, line: location.start.line, column: location.start.column + 1 }
}

function whereOf(file: string, error: unknown) {
  const { lineNumber, column } = error as { lineNumber?: number; column?: number }
  return lineNumber === undefined ? { file } : { file, line: lineNumber, column: (column ?? 0) + 1 }
}
