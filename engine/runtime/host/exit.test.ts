import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { readExit } from './exit.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-exit-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

it('reads a whole exit, and none from any part of it', async () => {
  const text = 'code 7\nsignal 0\noom 0\nfinished 1700000000000\n'
  expect(await readExit(folder)).toBeUndefined()
  for (let length = 0; length < text.length; length++) {
    await writeFile(join(folder, 'exit'), text.slice(0, length))
    expect(await readExit(folder), JSON.stringify(text.slice(0, length))).toBeUndefined()
  }
  await writeFile(join(folder, 'exit'), text)
  expect(await readExit(folder)).toEqual({ code: 7, oomKilled: false, finishedAt: 1_700_000_000_000 })
})
