import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MemoryCollection } from '../../store/collection.ts'
import type { VolumeRecord } from '../volume.ts'
import { Volumes } from './volumes.ts'

let folder = ''
let users: Record<string, string[]> = {}
let records = new MemoryCollection<VolumeRecord>()

const open = () =>
  Volumes.open({
    folder,
    records,
    clock: { now: () => 5 },
    log: () => undefined,
    usersOf: (name) => users[name] ?? [],
  })

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-volumes-'))
  users = {}
  records = new MemoryCollection()
})
afterEach(() => rm(folder, { recursive: true }))

describe('Volumes', () => {
  it('makes a folder for anyone, once', async () => {
    const volumes = await open()
    const made = await volumes.create('data', { labels: { a: 'b' } })
    expect(made).toEqual({
      name: 'data',
      created: 5,
      labels: { a: 'b' },
      anonymous: false,
      folder: join(folder, 'data/_data'),
    })
    expect((await stat(made.folder)).mode & 0o777).toBe(0o755)
    await writeFile(join(made.folder, 'file'), 'kept')
    expect(await volumes.ensure('data', { anonymous: true })).toEqual(made)
    expect(await readdir(made.folder)).toEqual(['file'])
  })

  it('removes one with its files, twice, and not while it is used', async () => {
    const volumes = await open()
    await volumes.create('data')
    users = { data: ['c1'] }
    await expect(volumes.remove('data')).rejects.toMatchObject({ code: 'CONFLICT' })
    users = {}
    await volumes.remove('data')
    await volumes.remove('data')
    expect([volumes.list(), await readdir(folder)]).toEqual([[], []])
  })

  it('comes back from any cut: half-made, half-removed, lost', async () => {
    await mkdir(join(folder, 'halfmade/_data'), { recursive: true })
    await mkdir(join(folder, '.removing-0123/_data'), { recursive: true })
    await records.write({ put: { lost: { name: 'lost', created: 1, labels: {}, anonymous: false } } })
    const volumes = await open()
    expect(volumes.list().map((v) => v.name)).toEqual(['halfmade'])
    expect(await readdir(folder)).toEqual(['halfmade'])
  })
})
