import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readFromLayers } from './layers.ts'

let folder: string
let layers: string[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-layers-'))
  layers = [join(folder, 'upper'), join(folder, 'lower')]
  for (const layer of layers) await mkdir(join(layer, 'etc'), { recursive: true })
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('readFromLayers', () => {
  it('takes the topmost file', async () => {
    await writeFile(join(folder, 'lower/etc/passwd'), 'lower')
    expect(await readFromLayers(layers, '/etc/passwd')).toBe('lower')
    await writeFile(join(folder, 'upper/etc/passwd'), 'upper')
    expect(await readFromLayers(layers, '/etc/passwd')).toBe('upper')
    expect(await readFromLayers(layers, '/etc/none')).toBe('')
    expect(await readFromLayers(layers, '/etc')).toBe('')
  })

  it('follows links inside, never out', async () => {
    await writeFile(join(folder, 'secret'), 'of the host')
    await mkdir(join(folder, 'lower/usr/etc'), { recursive: true })
    await writeFile(join(folder, 'lower/usr/etc/passwd'), 'inside')
    await symlink('/usr/etc/passwd', join(folder, 'upper/etc/passwd'))
    expect(await readFromLayers(layers, '/etc/passwd')).toBe('inside')
    await symlink('../../secret', join(folder, 'upper/etc/group'))
    expect(await readFromLayers(layers, '/etc/group')).toBe('')
    await symlink('loop', join(folder, 'upper/etc/loop'))
    expect(await readFromLayers(layers, '/etc/loop')).toBe('')
  })
})
