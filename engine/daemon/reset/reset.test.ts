import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkFolders, mountPlaces, removeRoot, removeRun } from './folders.ts'
import { mountsBelow } from './mounts.ts'
import { withDescendants } from './processes.ts'

const line = (place: string) => `36 35 98:0 / ${place} rw,noatime shared:1 - nsfs nsfs rw`

describe('mountsBelow', () => {
  it('gives what is mounted at the daemon’s places, the last first, and nothing else', () => {
    const own = ['/r/root/pods/u/volumes/a b', '/r/run/ns/0123456789ab-net']
    const others = [
      '/',
      '/r/root',
      '/r/rootx/pods/u',
      '/r/root/other/run/ns/0123456789ab-net',
      '/r/run/nsx/a',
    ]
    const text = [own[0]?.replace(' ', '\\040') ?? '', ...others, own[1] ?? ''].map(line).join('\n')
    expect(mountsBelow(text, mountPlaces({ root: '/r/root', run: '/r/run' }))).toEqual([own[1], own[0]])
  })
})

describe('withDescendants', () => {
  it('gives keepers before their daemons, and no zombies', () => {
    const process = (pid: number, parent: number, zombie = false) => ({ pid, parent, started: '1', zombie })
    const all = [
      process(1, 0),
      process(5, 9),
      process(9, 1),
      process(7, 5),
      process(6, 9, true),
      process(8, 1),
    ]
    const found = withDescendants(new Map(all.map((p) => [p.pid, p])), [5, 9])
    expect(found.map(({ pid }) => pid)).toEqual([9, 5, 7])
  })
})

describe('folders', () => {
  let folder = ''
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-reset-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('that are not a daemon’s are refused', async () => {
    const [root, run] = [join(folder, 'root'), join(folder, 'run')]
    await checkFolders({ root, run })
    await mkdir(join(root, 'db'), { recursive: true })
    await expect(checkFolders({ root, run })).rejects.toThrow('is no root folder of a daemon')
    await mkdir(join(run, 'ns'), { recursive: true })
    await checkFolders({ root, run })
    await mkdir(join(root, 'mine'))
    await expect(checkFolders({ root, run })).rejects.toThrow('is no root folder of a daemon')
    await writeFile(join(root, 'lock'), '')
    await checkFolders({ root, run })
    await mkdir(join(run, 's'), { recursive: true })
    await checkFolders({ root, run })
    await mkdir(join(run, 'somebody'))
    await expect(checkFolders({ root, run })).rejects.toThrow('it has "somebody"')
    await expect(checkFolders({ root, run: folder })).rejects.toThrow('is no run folder of a daemon')
  })

  it('lose what is the daemon’s and keep the rest', async () => {
    const [root, run] = [join(folder, 'root'), join(folder, 'run')]
    for (const name of ['db', 'volumes/v/_data', 'mine']) await mkdir(join(root, name), { recursive: true })
    for (const name of ['instance', 'lock', 'instance.0123456789ab.tmp', 'lock.txt'])
      await writeFile(join(root, name), '')
    await mkdir(join(run, 's'), { recursive: true })
    await writeFile(join(run, 's/0123456789ab'), '')
    expect(await removeRoot(root)).toBe(true)
    expect(await readdir(root)).toEqual(['lock.txt', 'mine'])
    expect(await removeRoot(root)).toBe(false)
    expect(await removeRun(run)).toBe(true)
    expect(await removeRun(run)).toBe(false)
    expect(await readdir(folder)).toEqual(['root'])
  })
})
