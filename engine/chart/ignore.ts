import { BerthError } from '../base/error.ts'

/** Tells whether a path of a chart's folder is left out. */
export type Ignore = (path: string, isFolder: boolean) => boolean

interface Rule {
  readonly negate: boolean
  readonly folderOnly: boolean
  readonly nameOnly: boolean
  readonly pattern: RegExp
}

/** Reads a .helmignore: globs, one a line, `!` for "all but", `/` at the end for folders. Helm's rules. */
export function parseIgnore(text: string, file: string): Ignore {
  const rules = `${text}\ntemplates/.?*`
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map((line) => line.trim())
    .map((line, index) => ({ line, index }))
    .filter(({ line }) => line !== '' && !line.startsWith('#'))
    .map(({ line, index }) => parseRule(line, { file, line: index + 1 }))
  return (path, isFolder) => {
    for (const { negate, folderOnly, nameOnly, pattern } of rules) {
      const matches = pattern.test(nameOnly ? path.slice(path.lastIndexOf('/') + 1) : path)
      if (negate) {
        if ((folderOnly && !isFolder) || !matches) return true
      } else if (matches && (!folderOnly || isFolder)) return true
    }
    return false
  }
}

function parseRule(line: string, where: { file: string; line: number }): Rule {
  if (line.includes('**'))
    throw new BerthError('INVALID', 'Cannot read .helmignore: double-star (**) syntax is not supported', {
      where,
    })
  const negate = line.startsWith('!')
  let glob = negate ? line.slice(1) : line
  const folderOnly = glob.endsWith('/')
  if (folderOnly) glob = glob.slice(0, -1)
  const rooted = glob.startsWith('/')
  if (rooted) glob = glob.slice(1)
  try {
    return { negate, folderOnly, nameOnly: !rooted && !glob.includes('/'), pattern: globPattern(glob) }
  } catch (cause) {
    throw new BerthError('INVALID', `Cannot read .helmignore: "${line}" is no pattern`, { where, cause })
  }
}

/** Go's filepath.Match as a regular expression: `*` and `?` stop at `/`, `[a-z]` and `[^a]` are classes. */
export function globPattern(glob: string): RegExp {
  const body = glob.replace(/\\(.)|\[\^?[^\]]+\]|[*?]|[.+^${}()|[\]\\]/g, (part, escaped?: string) => {
    if (escaped !== undefined) return escaped.replace(/[^\w]/g, '\\$&')
    if (part === '*') return '[^/]*'
    if (part === '?') return '[^/]'
    if (part.length > 2 && part.startsWith('[')) return part
    return `\\${part}`
  })
  return new RegExp(`^${body}$`, 's')
}
