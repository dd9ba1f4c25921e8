import { chmod, mkdir, mkdtemp, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { own } from './own.ts'

let top: string
beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'berth-own-'))
})
afterAll(() => rm(top, { recursive: true, force: true }))

const gids = async (...paths: string[]) => Promise.all(paths.map(async (path) => (await stat(path)).gid))

it('gives folders and files to a group, and follows no link', async () => {
  const volume = join(top, 'volume')
  const outside = join(top, 'outside')
  await mkdir(join(volume, 'a/b'), { recursive: true })
  await writeFile(join(volume, 'a/b/file'), '', { mode: 0o600 })
  await mkdir(outside)
  await writeFile(join(outside, 'file'), '', { mode: 0o600 })
  await symlink(outside, join(volume, 'folder-link'))
  await symlink(join(outside, 'file'), join(volume, 'a/file-link'))
  await own(volume, 4242)
  expect(await gids(volume, join(volume, 'a'), join(volume, 'a/b/file'))).toEqual([4242, 4242, 4242])
  expect((await stat(join(volume, 'a/b/file'))).mode & 0o777).toBe(0o660)
  expect((await stat(join(volume, 'a/b'))).mode & 0o7777).toBe(0o2775)
  expect(await gids(outside, join(outside, 'file'))).toEqual([0, 0])
  expect((await stat(join(outside, 'file'))).mode & 0o777).toBe(0o600)
})

it('is not led out by who swaps a folder and a link meanwhile', async () => {
  const volume = join(top, 'swapped')
  const outside = join(top, 'victims')
  for (const folder of [join(volume, 'inner'), outside]) {
    await mkdir(folder, { recursive: true })
    for (let i = 0; i < 50; i++) await writeFile(join(folder, `f${i}`), '', { mode: 0o600 })
  }
  await symlink(outside, join(volume, 'link'))
  let over = false
  const swapping = (async () => {
    while (!over) {
      await rename(join(volume, 'inner'), join(volume, 'away'))
      await rename(join(volume, 'link'), join(volume, 'inner'))
      await rename(join(volume, 'inner'), join(volume, 'link'))
      await rename(join(volume, 'away'), join(volume, 'inner'))
    }
  })()
  for (let gid = 5000; gid < 5020; gid++) {
    await chmod(volume, 0o755)
    await own(volume, gid)
  }
  over = true
  await swapping
  const found = await gids(outside, ...Array.from({ length: 50 }, (_, i) => join(outside, `f${i}`)))
  expect(new Set(found)).toEqual(new Set([0]))
})
