/** A semantic version in its parts; undefined for anything else. https://semver.org */
function parse(text: string): { numbers: readonly number[]; pre: readonly string[] } | undefined {
  const match = /^v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/.exec(text)
  if (!match) return undefined
  return { numbers: match.slice(1, 4).map(Number), pre: match[4]?.split('.') ?? [] }
}

/** Order of two semantic versions: negative when `a` is older. What is no version is oldest. */
export function compareVersions(a: string, b: string): number {
  const [x, y] = [parse(a), parse(b)]
  if (!x || !y) return Number(x !== undefined) - Number(y !== undefined)
  for (const [i, number] of x.numbers.entries()) {
    const difference = number - (y.numbers[i] ?? 0)
    if (difference !== 0) return difference
  }
  return comparePre(x.pre, y.pre)
}

/** Pre-releases come before their release; numbers before words. */
function comparePre(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0) return b.length - a.length
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const [x, y] = [a[i], b[i]]
    if (x === undefined) return -1
    if (y === undefined) return 1
    if (x === y) continue
    const [n, m] = [/^\d+$/.test(x), /^\d+$/.test(y)]
    if (n && m) return Number(x) - Number(y)
    if (n !== m) return n ? -1 : 1
    return x < y ? -1 : 1
  }
  return 0
}

/** The newest version that is no pre-release. */
export function newestVersion(versions: readonly string[]): string | undefined {
  return versions
    .filter((text) => parse(text)?.pre.length === 0)
    .toSorted(compareVersions)
    .at(-1)
}
