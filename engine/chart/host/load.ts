import { readdir, readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { BerthError, errnoOf } from '../../base/error.ts'
import { archiveLimits, readArchive, stripBom } from '../archive.ts'
import type { Chart, ChartFile } from '../chart.ts'
import { type Ignore, parseIgnore } from '../ignore.ts'
import { loadChart } from '../load.ts'

/** Loads a chart from a folder or a packed chart. Throws `NOT_FOUND` or `INVALID`, naming the file. */
export async function loadChartFrom(path: string, signal: AbortSignal): Promise<Chart> {
  signal.throwIfAborted()
  const shown = path.replace(/\/+$/, '') || path
  const found = await stat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR')
      throw new BerthError('NOT_FOUND', `Cannot find chart "${path}": there is no such file or folder`, {
        hint: 'name a folder with a Chart.yaml, a .tgz, or oci://HOST/CHART',
        cause: error,
      })
    throw error
  })
  if (found.isDirectory()) return loadChart(await readFolder(path, shown, signal), shown)
  if (found.size > archiveLimits.chartBytes)
    throw new BerthError(
      'INVALID',
      `Cannot load chart "${path}": it has ${found.size} bytes, at most ${archiveLimits.chartBytes} are allowed`,
    )
  return loadChart(await readArchive(await readFile(path, { signal }), shown), shown)
}

async function readFolder(folder: string, shown: string, signal: AbortSignal): Promise<ChartFile[]> {
  const ignoreText = await readFile(join(folder, '.helmignore'), 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return ''
    throw error
  })
  const ignore = parseIgnore(ignoreText, `${shown}/.helmignore`)
  const files: ChartFile[] = []
  const budget = { bytes: archiveLimits.chartBytes }
  await walk('', { folder: resolve(folder), shown, ignore, files, budget, signal, parents: [] })
  return files
}

interface Walk {
  readonly folder: string
  readonly shown: string
  readonly ignore: Ignore
  readonly files: ChartFile[]
  readonly budget: { bytes: number }
  readonly signal: AbortSignal
  /** Devices and inodes of the folders above: a link that leads back ends the walk. */
  readonly parents: readonly string[]
}

async function walk(path: string, context: Walk): Promise<void> {
  const { folder, shown, ignore, files, budget, signal } = context
  const here = join(folder, path)
  const { dev, ino } = await stat(here)
  const fail = (message: string) =>
    new BerthError('INVALID', `Cannot load chart "${shown}": ${message}`, {
      where: { file: join(shown, path) },
    })
  if (context.parents.includes(`${dev}:${ino}`)) throw fail('a link leads back to a folder above it')
  const inner = { ...context, parents: [...context.parents, `${dev}:${ino}`] }
  for (const name of (await readdir(here)).sort()) {
    signal.throwIfAborted()
    const relative = path === '' ? name : `${path}/${name}`
    const found = await stat(join(here, name))
    if (ignore(relative, found.isDirectory())) continue
    if (found.isDirectory()) await walk(relative, inner)
    else if (!found.isFile()) throw fail(`"${relative}" is not a regular file`)
    else if (found.size > archiveLimits.fileBytes)
      throw fail(`"${relative}" has ${found.size} bytes, at most ${archiveLimits.fileBytes} are allowed`)
    else {
      budget.bytes -= found.size
      if (budget.bytes < 0 || files.length >= archiveLimits.files)
        throw fail(`it holds more than ${archiveLimits.chartBytes} bytes or ${archiveLimits.files} files`)
      files.push({
        name: relative,
        content: stripBom(await readFile(join(here, name), { signal })),
        modifiedMs: found.mtimeMs,
      })
    }
  }
}
