/**
 * A table as docker's and kubectl's commands print it: columns as wide as their longest cell and three spaces, at
 * least ten; the last column is not padded. Cells are given without line ends.
 */
export function formatTable(
  rows: readonly (readonly string[])[],
  { minWidth = 10, padding = 3 } = {},
): string {
  const widths: number[] = []
  for (const row of rows) {
    row.slice(0, -1).forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? minWidth, displayWidth(cell) + padding)
    })
  }
  return rows
    .map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : pad(cell, widths[i] ?? 0))).join(''))
    .map((line) => `${line}\n`)
    .join('')
}

const pad = (cell: string, width: number) => cell + ' '.repeat(Math.max(0, width - displayWidth(cell)))

const displayWidth = (text: string) => [...text].length
