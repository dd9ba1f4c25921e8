import type { RenderedText } from './handlebars.ts'

/**
 * Which line of a template wrote a line of its output. Each line end in the template's own text (not in values, not
 * in partials) is followed by a mark that holds the number of the line that begins there:
 *
 *   "a: 1\nb:\n" at line 1   →   "a: 1\n" ␁2␂ "b:\n" ␁3␂
 *
 * The marks are control characters, which YAML forbids, and are taken out again after rendering.
 */
const open = '\u0001'
const close = '\u0002'
const mark = /\u0001(\d+)\u0002/g

/** Puts marks into the text of a parsed template. */
export function addLineMarks(program: hbs.AST.Program): void {
  for (const statement of program.body) {
    if (statement.type === 'ContentStatement') markContent(statement as unknown as MutableContent)
    else if (statement.type === 'BlockStatement') {
      const block = statement as hbs.AST.BlockStatement
      if (block.program) addLineMarks(block.program)
      if (block.inverse) addLineMarks(block.inverse)
    }
  }
}

interface MutableContent {
  readonly loc: hbs.AST.SourceLocation
  readonly original: string
  value: string
}

function markContent(content: MutableContent): void {
  const cut = linesCut(content.original, content.value)
  let line = content.loc.start.line + cut
  const marked = content.value.replaceAll('\n', () => `\n${open}${++line}${close}`)
  // What follows a tag on a line of its own begins a line without a line end of its own.
  content.value = cut > 0 ? `${open}${content.loc.start.line + cut}${close}${marked}` : marked
}

/** Line ends that whitespace control took from the start of a text. */
function linesCut(original: string, value: string): number {
  if (value.length === original.length) return 0
  const atEnd = original.endsWith(value) ? original.length - value.length : -1
  const lead = /^[ \t]*\r?\n?/.exec(original)?.[0].length ?? 0
  const offset =
    atEnd >= 0 ? atEnd : original.startsWith(value, lead) ? lead : Math.max(0, original.indexOf(value))
  return original.slice(0, offset).split('\n').length - 1
}

/** Takes the marks out of rendered text. */
export function takeLineMarks(marked: string): RenderedText {
  const lines: number[] = []
  let current = 1
  const text = marked
    .split('\n')
    .map((line) => {
      // Marks that stand at the start of the line tell where it began; those behind text belong to what follows.
      const leading = /^(?:\u0001\d+\u0002)+/.exec(line)?.[0]
      if (leading) current = last(leading) ?? current
      lines.push(current)
      current = last(line) ?? current
      return line.replace(mark, '')
    })
    .join('\n')
  return { text, lines }
}

function last(text: string): number | undefined {
  const found = [...text.matchAll(mark)].at(-1)?.[1]
  return found === undefined ? undefined : Number(found)
}
