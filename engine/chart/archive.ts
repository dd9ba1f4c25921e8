import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { extract, type Header } from 'tar-stream'
import { BerthError, messageOf } from '../base/error.ts'
import type { ChartFile } from './chart.ts'

/** Limits of a chart's archive, as Helm has them: a small archive must not fill memory. */
export const archiveLimits = {
  chartBytes: 100 * 1024 * 1024,
  fileBytes: 5 * 1024 * 1024,
  files: 10_000,
} as const

/**
 * The files of a packed chart (.tgz), paths without the chart's folder. Throws `INVALID` for what is no archive,
 * for a path that leaves the chart and for an archive over the limits.
 */
export async function readArchive(archive: Uint8Array, origin: string): Promise<ChartFile[]> {
  const fail = (message: string, hint?: string) =>
    new BerthError('INVALID', `Cannot load chart "${origin}": ${message}`, {
      where: { file: origin },
      ...(hint === undefined ? {} : { hint }),
    })
  if (archive[0] !== 0x1f || archive[1] !== 0x8b)
    throw fail('it is not a gzipped archive', 'pack a chart with berth package FOLDER')
  const unpacked = extract()
  const gunzip = createGunzip()
  gunzip.on('error', (error) => unpacked.destroy(error))
  Readable.from([archive]).pipe(gunzip).pipe(unpacked)
  const files: ChartFile[] = []
  let total = 0
  try {
    for await (const entry of unpacked) {
      const { header } = entry
      if (header.type === 'directory') {
        entry.resume()
        continue
      }
      if (header.type !== 'file' && header.type !== 'contiguous-file')
        throw fail(`"${header.name}" is a ${header.type}, should be a file`)
      total += header.size ?? 0
      if ((header.size ?? 0) > archiveLimits.fileBytes)
        throw fail(
          `"${header.name}" has ${header.size} bytes, at most ${archiveLimits.fileBytes} are allowed`,
        )
      if (total > archiveLimits.chartBytes || files.length >= archiveLimits.files)
        throw fail(`it holds more than ${archiveLimits.chartBytes} bytes or ${archiveLimits.files} files`)
      const name = pathIn(header, fail)
      const pieces: Buffer[] = []
      for await (const piece of entry) pieces.push(piece as Buffer)
      if (name !== undefined)
        files.push({
          name,
          content: stripBom(Buffer.concat(pieces)),
          ...(header.mtime ? { modifiedMs: header.mtime.getTime() } : {}),
        })
    }
  } catch (error) {
    if (error instanceof BerthError) throw error
    throw fail(`the archive is damaged: ${messageOf(error)}`)
  } finally {
    gunzip.destroy()
  }
  if (files.length === 0) throw fail('no files in chart archive')
  return files
}

/** The path without the chart's folder; nothing for a file that lies beside it. */
function pathIn(header: Header, fail: (message: string) => BerthError): string | undefined {
  const path = header.name.replaceAll('\\', '/')
  if (path.startsWith('/') || /^[A-Za-z]:/.test(path)) throw fail(`"${header.name}" is an absolute path`)
  const parts = path.split('/').filter((part) => part !== '.' && part !== '')
  if (parts.includes('..')) throw fail(`"${header.name}" leaves the chart's folder`)
  if (parts.length < 2) {
    if (parts[0] === 'Chart.yaml') throw fail('Chart.yaml is not in a folder')
    return undefined
  }
  return parts.slice(1).join('/')
}

/** A byte order mark is no part of a text. */
export function stripBom(content: Uint8Array): Uint8Array {
  return content[0] === 0xef && content[1] === 0xbb && content[2] === 0xbf ? content.subarray(3) : content
}
