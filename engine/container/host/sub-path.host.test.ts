import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MountSetting } from '../container.ts'
import { type Bench, driver, openBench, remains, shell } from './containers.testkit.ts'

let bench: Bench
let secret: string
let volume: string
const { started, remove, run } = driver(() => bench)

beforeAll(async () => {
  bench = await openBench()
  secret = join(bench.top, 'secret')
  await mkdir(secret)
  await writeFile(join(secret, 'file'), 'of the host\n')
  volume = (await bench.engine.volumes.ensure('shared', { anonymous: false })).folder
  await mkdir(join(volume, 'inner/real'), { recursive: true })
  await writeFile(join(volume, 'inner/real/file'), 'of the volume\n')
  await symlink(secret, join(volume, 'absolute'))
  await symlink('../../../../../../../../../../..', join(volume, 'up'))
  await symlink('inner/real', join(volume, 'good'))
})
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]()
})

const at = (subPath: string, more: Partial<MountSetting> = {}) =>
  ({ kind: 'volume', source: 'shared', target: '/mnt', readOnly: false, subPath, ...more }) as const
const cat = async (mount: MountSetting, line = 'cat /mnt/file') => {
  try {
    return await run(shell(line, { name: 'cat', mounts: [mount] }))
  } catch (error) {
    await remove('cat')
    throw error
  }
}

describe('a part of a volume', () => {
  it('is a folder, a file, or what a link inside leads to', async () => {
    expect((await cat(at('inner/real'))).output).toBe('of the volume\n')
    expect((await cat(at('good'))).output).toBe('of the volume\n')
    expect((await cat(at('good/file'), 'cat /mnt')).output).toBe('of the volume\n')
    expect((await cat(at('good', { readOnly: true }), 'touch /mnt/x')).code).not.toBe(0)
  })

  it('is made when it is missing and that is asked for, and else refused', async () => {
    await expect(cat(at('new/one'))).rejects.toThrow(/new\/one/)
    expect((await cat(at('new/one', { createSource: true }), 'echo hi > /mnt/file')).code).toBe(0)
    expect(await readFile(join(volume, 'new/one/file'), 'utf8')).toBe('hi\n')
  })

  it('lies in the volume, wherever links and dots in it point', async () => {
    const ways = ['absolute', `up${secret}`, `inner/../../../../../../../../../../..${secret}`]
    for (const subPath of ways) await expect(cat(at(subPath)), subPath).rejects.toThrow(/ENOENT/)
    for (const subPath of ways) {
      const made = await cat(at(subPath, { createSource: true }), 'cat /mnt/file')
      expect(made.output, subPath).not.toContain('of the host')
    }
  })

  it('stays there when a container swaps folder and link all the time', async () => {
    const race = `cd /v; mkdir -p race; ln -s ${secret} link; while :; do mv race away; mv link race; mv race link; mv away race; done`
    const hostile = await started(
      shell(race, { mounts: [{ kind: 'volume', source: 'shared', target: '/v', readOnly: false }] }),
    )
    const seen = new Set<string>()
    for (let i = 0; i < 25; i++) {
      const result = await cat(at('race'), 'cat /mnt/file 2>/dev/null; touch /mnt/mark; true').catch(
        (error: Error) => ({ output: error.message.includes('ENOENT') ? 'refused' : error.message }),
      )
      seen.add(result.output)
    }
    await remove(hostile.id)
    expect([...seen].filter((output) => output !== '' && output !== 'refused')).toEqual([])
    expect(await readFile(join(secret, 'mark'), 'utf8').catch(() => undefined)).toBeUndefined()
  })

  it('leaves nothing', async () => {
    expect((await remains(bench)).filter((line) => !line.endsWith('/volumes'))).toEqual([])
  })
})
