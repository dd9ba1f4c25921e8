import { compileFormat } from './format.ts'
import type { Output } from './output.ts'
import { formatTable } from './table.ts'

/** One column of a listing: its heading, and how `--format` calls it. */
export interface Column<T> {
  readonly heading: string
  readonly field: string
  readonly of: (item: T) => string
}

export interface ListingOptions<T> {
  /** All that `--format` may name, in docker's order for `json`. */
  readonly columns: readonly Column<T>[]
  /** The columns of the plain table. */
  readonly shown: readonly string[]
  readonly format?: string | undefined
  /** `-q`: this field alone. */
  readonly quiet?: string | undefined
}

/** Prints a listing in docker's ways: table, `--format` (json, table TEMPLATE, TEMPLATE), `-q`. */
export function printListing<T>(items: readonly T[], options: ListingOptions<T>, output: Output): void {
  const { columns, shown, format, quiet } = options
  const view = (item: T) => Object.fromEntries(columns.map((c) => [c.field, c.of(item)]))
  if (quiet !== undefined && (format === undefined || format === 'table')) {
    for (const item of items) output.line(columns.find((c) => c.field === quiet)?.of(item))
  } else if (format === 'json') {
    for (const item of items) output.line(JSON.stringify(view(item)))
  } else if (format === undefined || format === 'table') {
    const picked = shown.flatMap((field) => columns.filter((c) => c.field === field))
    output.write(
      formatTable([picked.map((c) => c.heading), ...items.map((item) => picked.map((c) => c.of(item)))]),
    )
  } else {
    const isTable = format.startsWith('table ')
    const template = compileFormat(
      tabs(isTable ? format.slice('table '.length) : format),
      columns.map((c) => c.field),
    )
    // Also tells a wrong field when there is no item.
    const heading = template(Object.fromEntries(columns.map((c) => [c.field, c.heading])))
    const lines = items.map((item) => template(view(item)))
    if (isTable) {
      output.write(formatTable([heading, ...lines].map((line) => line.split('\t'))))
    } else for (const line of lines) output.line(line)
  }
}

/** A shell gives `\t` in single quotes as two characters; docker takes it for a tab. */
const tabs = (text: string) => text.replaceAll('\\t', '\t').replaceAll('\\n', '\n')
