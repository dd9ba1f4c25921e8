import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LogOptions } from '../container.ts'
import { readLogs } from './logs.ts'

let folder: string
let path: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-logs-'))
  path = join(folder, 'c.log')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const line = (n: number) => `2026-01-02T03:04:05.${String(n).padStart(9, '0')}Z stdout F ${n}\n`
const lines = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => line(from + i)).join('')

async function read(
  options: Partial<LogOptions>,
  ended: Promise<unknown> = Promise.resolve(),
): Promise<number[]> {
  const found: number[] = []
  const life = { ended, signal: new AbortController().signal }
  for await (const { content } of readLogs(path, { stdout: true, stderr: true, ...options }, life)) {
    found.push(Number(new TextDecoder().decode(content)))
  }
  return found
}
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

describe('readLogs', () => {
  it('reads rotated files from the oldest on', async () => {
    await writeFile(`${path}.2`, lines(1, 3))
    await writeFile(`${path}.1`, lines(4, 6))
    await writeFile(path, lines(7, 9))
    expect(await read({})).toEqual(range(1, 9))
    for (let tail = 0; tail <= 12; tail++) {
      expect(await read({ tail }), String(tail)).toEqual(range(Math.max(1, 10 - tail), 9))
      expect(await read({ tail, follow: true }), String(tail)).toEqual(range(Math.max(1, 10 - tail), 9))
    }
  })

  it('finds the tail of a long file', async () => {
    await writeFile(path, lines(1, 20_000))
    expect(await read({ tail: 5000 })).toEqual(range(15_001, 20_000))
  })

  it('has nothing where there is no file, or no whole line', async () => {
    expect(await read({})).toEqual([])
    expect(await read({ follow: true })).toEqual([])
    await writeFile(path, `${line(1)}2026-01-02T03:04:05.0000`)
    expect(await read({})).toEqual([1])
  })

  it('follows over a rotation without losing a line', async () => {
    const end = Promise.withResolvers<void>()
    await writeFile(path, lines(1, 2))
    const all = read({ follow: true }, end.promise)
    for (let n = 3; n <= 60; n++) {
      await appendFile(path, line(n))
      if (n % 10 === 0) await rename(path, `${path}.1`)
    }
    await appendFile(path, line(61))
    end.resolve()
    expect(await all).toEqual(range(1, 61))
  })
})
